"""How the database is reached."""

from psycopg.conninfo import conninfo_to_dict

from accounts_es.eventstore.connection import primary


def test_T63_a_database_that_is_gone_without_a_word_is_noticed_soon() -> None:
    given = conninfo_to_dict(primary("postgresql://them@db.example.org/accounts"))
    assert given["target_session_attrs"] == "read-write"
    waited = int(given["keepalives_idle"]) + int(given["keepalives_interval"]) * int(given["keepalives_count"])
    assert waited <= int(given["tcp_user_timeout"]) / 1000 <= 25


def test_what_the_operator_says_of_it_counts() -> None:
    assert conninfo_to_dict(primary("host=db tcp_user_timeout=5000"))["tcp_user_timeout"] == "5000"
