"""What passes for a JWT of ours, and what does not (T21)."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts_es.adapters.jwts import JwtBroken, JwtClaims, JwtExpired, Jwts, KeyClaims

OURS, NEWER = b"1" * 32, b"2" * 32
ISSUER = "https://accounts.example.org/v1"
JANE = JwtClaims("jane", "session")
HOUR = timedelta(hours=1)
SHARED, PUBLIC = Jwts(OURS, issuer=ISSUER), Jwts(OURS, algorithm="ES256", issuer=ISSUER)
BOTH = pytest.mark.parametrize("jwts", [SHARED, PUBLIC], ids=["HS256", "ES256"])


def minted(jwts: Jwts = PUBLIC, project: str = "shop", *, ago: timedelta = timedelta(0)) -> str:
    return jwts.mint(project, JANE, datetime.now(UTC) - ago, HOUR)


def claims(text: str) -> dict[str, Any]:
    return jwt.decode(text, options={"verify_signature": False})


def encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def public_key(jwts: Jwts = PUBLIC) -> Any:
    return jwt.PyJWK(dict(jwts.public_keys("shop")[0])).key


def signed(how: Callable[[dict[str, Any]], dict[str, Any]], *, typ: str = "JWT", kid: str | None = None) -> str:
    """A token by the right key that says something else."""
    pair = PUBLIC._pairs("shop")[0]
    return jwt.encode(how(claims(minted())), pair.private, "ES256", headers={"typ": typ, "kid": kid or pair.key_id})


@BOTH
def test_both_forms_are_taken_whichever_is_made(jwts: Jwts) -> None:
    for other in (SHARED, PUBLIC):
        assert other.read("shop", minted(jwts)) == JANE


def test_the_public_form_says_who_it_is_from_and_for() -> None:
    text, now = minted(), datetime.now(UTC).timestamp()
    (key,) = PUBLIC.public_keys("shop")
    assert jwt.get_unverified_header(text) == {"alg": "ES256", "kid": key["kid"], "typ": "JWT"}
    said = claims(text)
    assert {name: said[name] for name in ("iss", "aud", "sub", "userId", "sessionId")} == {
        "iss": ISSUER,
        "aud": "shop",
        "sub": "jane",
        "userId": "jane",
        "sessionId": "session",
    }
    assert said["nbf"] < said["iat"] <= now
    assert now + 3590 < said["exp"] < now + 3601
    assert jwt.decode(text, public_key(), ["ES256"], audience="shop", issuer=ISSUER) == said


def test_the_key_id_is_the_thumbprint_and_nothing_private_is_published() -> None:
    (key,) = PUBLIC.public_keys("shop")
    assert set(key) == {"kty", "use", "alg", "kid", "crv", "x", "y"}
    text = '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' % (key["x"], key["y"])  # noqa: UP031 - RFC 7638, 3.1
    assert key["kid"] == encoded(hashlib.sha256(text.encode()).digest())
    assert PUBLIC.public_keys("shop") == SHARED.public_keys("shop") != PUBLIC.public_keys("other")


def test_a_token_without_a_signature_is_refused() -> None:
    head, payload, signature = minted().split(".")
    for algorithm in ("none", "None", "NONE", ""):
        forged = encoded(json.dumps({**jwt.get_unverified_header(minted()), "alg": algorithm}).encode())
        for end in ("", signature):
            with pytest.raises(JwtBroken):
                PUBLIC.read("shop", f"{forged}.{payload}.{end}")
    with pytest.raises(JwtBroken):
        PUBLIC.read("shop", f"{head}.{payload}.")


def test_the_public_key_is_no_shared_secret() -> None:
    """RFC 8725, 2.1: HS256 with what is published as its key."""
    key = public_key()
    texts = [
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        json.dumps(PUBLIC.public_keys("shop")[0]).encode(),
        PUBLIC.public_keys("shop")[0]["x"].encode(),
        urlsafe_b64decode(PUBLIC.public_keys("shop")[0]["x"] + "="),
    ]
    kid = PUBLIC.public_keys("shop")[0]["kid"]
    for secret in texts:
        # By hand: the library refuses to sign with such a key.
        head, payload = {"alg": "HS256", "typ": "JWT", "kid": kid}, claims(minted())
        body = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(payload).encode())}"
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(body.encode(), secret)
        with pytest.raises(JwtBroken):
            PUBLIC.read("shop", f"{body}.{encoded(signature)}")


def test_a_key_from_elsewhere_is_refused_whatever_it_calls_itself() -> None:
    foreign = ec.generate_private_key(ec.SECP256R1())
    for kid in (PUBLIC.public_keys("shop")[0]["kid"], "theirs", PUBLIC.public_keys("other")[0]["kid"]):
        with pytest.raises(JwtBroken):
            PUBLIC.read("shop", jwt.encode(claims(minted()), foreign, "ES256", headers={"kid": kid}))
    with pytest.raises(JwtBroken):
        PUBLIC.read("shop", jwt.encode(claims(minted()), foreign, "ES256"))
    embedded = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(foreign.public_key()))
    with pytest.raises(JwtBroken):
        PUBLIC.read("shop", jwt.encode(claims(minted()), foreign, "ES256", headers={"jwk": embedded}))


@pytest.mark.parametrize(
    "how",
    [
        lambda said: {**said, "aud": "other"},
        lambda said: {**said, "iss": "https://elsewhere.example.org/v1"},
        lambda said: {**said, "nbf": said["nbf"] + 60},
        lambda said: {**said, "exp": said["iat"] - 60},
        lambda said: {**said, "userId": 5},
        *[lambda said, name=name: {key: each for key, each in said.items() if key != name} for name in claims(minted())]
    ],
)  # fmt: skip
def test_every_claim_counts(how: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    changed = how(claims(minted()))
    if "sessionId" not in changed:
        assert PUBLIC.read("shop", signed(how)) == JwtClaims("jane", ""), "as the contract has it for servers' tokens"
        return
    with pytest.raises(JwtBroken):
        PUBLIC.read("shop", signed(how))


def test_another_kind_of_token_by_the_same_key_is_refused() -> None:
    assert PUBLIC.read("shop", signed(dict)) == JANE
    for typ in ("at+jwt", "dpop+jwt", "logout+jwt"):
        with pytest.raises(JwtBroken):
            PUBLIC.read("shop", signed(dict, typ=typ))


@BOTH
def test_it_is_good_for_its_time_and_project(jwts: Jwts) -> None:
    with pytest.raises(JwtExpired):
        jwts.read("shop", minted(jwts, ago=HOUR))
    with pytest.raises(JwtBroken):
        jwts.read("other", minted(jwts))
    with pytest.raises(JwtBroken):
        Jwts(NEWER, issuer=ISSUER).read("shop", minted(jwts))


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_keys_change_without_a_token_refused(algorithm: Any) -> None:
    before = Jwts(OURS, algorithm=algorithm, issuer=ISSUER)
    announced = Jwts(OURS, other=NEWER, algorithm=algorithm, issuer=ISSUER)
    changed = Jwts(NEWER, other=OURS, algorithm=algorithm, issuer=ISSUER)
    after = Jwts(NEWER, algorithm=algorithm, issuer=ISSUER)
    for signing, reading in ((before, announced), (announced, changed), (changed, announced), (changed, after)):
        assert reading.read("shop", minted(signing)) == JANE
        published = [each["kid"] for each in reading.public_keys("shop")]
        assert algorithm == "HS256" or jwt.get_unverified_header(minted(signing))["kid"] in published
    with pytest.raises(JwtBroken):
        after.read("shop", minted(before))
    now = datetime.now(UTC)
    key = before.mint_key("shop", KeyClaims("key", ("users.read",), "", now + HOUR)).removeprefix("ephemeral_")
    assert changed.read_key("shop", key, now).key_id == "key"
    assert changed.unwrap("shop", before.wrap("shop", "secret", "google", now)) == ("secret", "google")


def test_an_ephemeral_key_is_no_proof_of_an_account_and_the_other_way_round() -> None:
    now = datetime.now(UTC)
    key = PUBLIC.mint_key("shop", KeyClaims("key", (), "", now + HOUR)).removeprefix("ephemeral_")
    for kind in (SHARED, PUBLIC):
        with pytest.raises(JwtBroken):
            kind.read("shop", key)
        with pytest.raises(JwtBroken):
            kind.read_key("shop", minted(kind), now)


def test_a_server_whose_clock_is_a_little_behind_takes_a_fresh_token() -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=3)
    assert PUBLIC.read("shop", PUBLIC.mint("shop", JANE, ahead, timedelta(minutes=15))) == JANE
