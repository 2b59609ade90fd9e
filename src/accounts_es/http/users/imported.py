"""Accounts brought along from another system, with the hash of a password that nobody here knows.

The hash is checked as that system did until its owner signs in for the first time; then it becomes one of ours.
"""

from typing import Annotated, Final

from accounts_es.adapters.ids import stream_id, wire_id
from accounts_es.adapters.imported_hashes import (
    SHA_VERSIONS,
    Argon2,
    Bcrypt,
    ImportedHash,
    Md5,
    Phpass,
    Scrypt,
    ScryptModified,
    Sha,
    Uncheckable,
    kept,
)
from accounts_es.domain.account import ACCOUNT, commands
from accounts_es.domain.account.events import SignedUp, TargetAdded
from accounts_es.domain.errors import GeneralArgumentInvalid, UserAlreadyExists, UserTargetAlreadyExists
from accounts_es.http import models
from accounts_es.http.context import Context
from accounts_es.http.operation import operation
from accounts_es.http.policies import ADDRESS_REFUSALS, ensure_address
from accounts_es.http.rules import UNIQUE, Base64, Choice, Email, Id, Number, Power, Text
from projections import accounts

USER: Final = Id(custom=True)
HASH: Final = Text(256, shortest=8)
"""Any text, as the contract has it (users-teams, 1.2): what is no such hash is met by no password."""
SHA_DEFAULT: Final = "sha256"
NAME: Final = Text(128)
PART: Final = Base64(128)
EMITS: Final = (SignedUp, TargetAdded)
RAISES: Final = (UserAlreadyExists, UserTargetAlreadyExists, *ADDRESS_REFUSALS)


@operation(
    "POST",
    "/users/argon2",
    id="users.createArgon2User",
    scope="users.write",
    returns=models.User,
    status=201,
    emits=EMITS,
    raises=RAISES,
)
async def create_argon2_user(
    ctx: Context,
    *,
    user_id: Annotated[str, USER],
    email: Annotated[str, Email()],
    password: Annotated[str, HASH],
    name: Annotated[str, NAME] = "",
) -> models.User:
    """Bring an account along with its Argon2 hash, in PHC form."""
    return await _bring(ctx, user_id, email, name, Argon2(hash=password))


@operation(
    "POST",
    "/users/bcrypt",
    id="users.createBcryptUser",
    scope="users.write",
    returns=models.User,
    status=201,
    emits=EMITS,
    raises=RAISES,
)
async def create_bcrypt_user(
    ctx: Context,
    *,
    user_id: Annotated[str, USER],
    email: Annotated[str, Email()],
    password: Annotated[str, HASH],
    name: Annotated[str, NAME] = "",
) -> models.User:
    """Bring an account along with its bcrypt hash."""
    return await _bring(ctx, user_id, email, name, Bcrypt(hash=password))


@operation(
    "POST",
    "/users/md5",
    id="users.createMD5User",
    scope="users.write",
    returns=models.User,
    status=201,
    emits=EMITS,
    raises=RAISES,
)
async def create_md5_user(
    ctx: Context,
    *,
    user_id: Annotated[str, USER],
    email: Annotated[str, Email()],
    password: Annotated[str, HASH],
    name: Annotated[str, NAME] = "",
) -> models.User:
    """Bring an account along with the MD5 of its password, in hex."""
    return await _bring(ctx, user_id, email, name, Md5(hash=password))


@operation(
    "POST",
    "/users/phpass",
    id="users.createPHPassUser",
    scope="users.write",
    returns=models.User,
    status=201,
    emits=EMITS,
    raises=RAISES,
)
async def create_phpass_user(
    ctx: Context,
    *,
    user_id: Annotated[str, USER],
    email: Annotated[str, Email()],
    password: Annotated[str, HASH],
    name: Annotated[str, NAME] = "",
) -> models.User:
    """Bring an account along with its phpass hash, as of WordPress."""
    return await _bring(ctx, user_id, email, name, Phpass(hash=password))


@operation(
    "POST",
    "/users/sha",
    id="users.createSHAUser",
    scope="users.write",
    returns=models.User,
    status=201,
    emits=EMITS,
    raises=RAISES,
)
async def create_sha_user(
    ctx: Context,
    *,
    user_id: Annotated[str, USER],
    email: Annotated[str, Email()],
    password: Annotated[str, HASH],
    password_version: Annotated[str, Choice(SHA_VERSIONS, folded=True)] = SHA_DEFAULT,
    name: Annotated[str, NAME] = "",
) -> models.User:
    """Bring an account along with a SHA digest of its password, in hex."""
    return await _bring(ctx, user_id, email, name, Sha(hash=password, version=password_version))


@operation(
    "POST",
    "/users/scrypt",
    id="users.createScryptUser",
    scope="users.write",
    returns=models.User,
    status=201,
    emits=EMITS,
    raises=RAISES,
)
async def create_scrypt_user(
    ctx: Context,
    *,
    user_id: Annotated[str, USER],
    email: Annotated[str, Email()],
    password: Annotated[str, HASH],
    password_salt: Annotated[str, Text(128)],
    password_cpu: Annotated[int, Power(2, 2**20)],
    password_memory: Annotated[int, Number(1, 1024)],
    password_parallel: Annotated[int, Number(1, 64)],
    password_length: Annotated[int, Number(16, 128)],
    name: Annotated[str, NAME] = "",
) -> models.User:
    """Bring an account along with its scrypt hash, in hex, and the parameters it was made with."""
    imported = Scrypt(
        hash=password,
        salt=password_salt,
        cpu=password_cpu,
        memory=password_memory,
        parallel=password_parallel,
        length=password_length,
    )
    return await _bring(ctx, user_id, email, name, imported, costs="passwordCpu")


@operation(
    "POST",
    "/users/scrypt-modified",
    id="users.createScryptModifiedUser",
    scope="users.write",
    returns=models.User,
    status=201,
    emits=EMITS,
    raises=RAISES,
)
async def create_scrypt_modified_user(
    ctx: Context,
    *,
    user_id: Annotated[str, USER],
    email: Annotated[str, Email()],
    password: Annotated[str, HASH],
    password_salt: Annotated[str, PART],
    password_salt_separator: Annotated[str, PART],
    password_signer_key: Annotated[str, PART],
    name: Annotated[str, NAME] = "",
) -> models.User:
    """Bring an account along from Firebase, with the project's separator and signer key."""
    imported = ScryptModified(
        hash=password, salt=password_salt, separator=password_salt_separator, signer_key=password_signer_key
    )
    return await _bring(ctx, user_id, email, name, imported)


async def _bring(
    ctx: Context, user_id: str, email: str, name: str, imported: ImportedHash, *, costs: str = "password"
) -> models.User:
    """Begin the account. ``costs`` is the parameter to blame for a hash that takes too much to check."""
    try:
        imported.ensure_checkable()
    except Uncheckable:
        raise GeneralArgumentInvalid(
            f"Invalid `{costs}` param: Value must be a hash that can be checked within the time and memory of a sign-in"
        ) from None
    ensure_address(ctx, email)
    outcome = await ctx.execute(
        ACCOUNT,
        stream_id("account"),
        commands.sign_up,
        account_id=wire_id() if user_id == UNIQUE else user_id,
        email=email,
        name=name,
        password_hash=kept(imported),
        email_target_id=wire_id(),
    )
    return models.user(await accounts.get_by_stream(ctx.reads, outcome.stream))
