"""Projects with a mail server of their own."""

import time
from pathlib import Path

import pytest

from accounts_es.domain.project import Project
from accounts_es.domain.project.events import SmtpConfigured
from accounts_es.messages import Mail
from accounts_es.reactors.outbox import Postponed
from accounts_es.reactors.projects import ProjectMail
from accounts_es.reactors.transports import MailFiles, ProjectSmtp
from accounts_es.settings import Settings
from tests.support.smtp import Behaviour, smtp_server
from tests.support.waiting import until

LETTER = Mail(template="otp", to="jane@example.org", project="shop", values={"project": "Shop", "otp": "123456"})


async def test_a_project_s_server_that_fails_is_left_alone_and_then_tried_with_one_mail(tmp_path: Path) -> None:
    behaviour, settings = Behaviour(), Settings(data=tmp_path, reachable_networks=("127.0.0.0/8",))
    with smtp_server(behaviour, tmp_path) as (port, _):

        async def load(_project: str) -> Project:
            smtp = SmtpConfigured(enabled=True, host="127.0.0.1", port=port, sender_email="shop@example.org")
            return Project(project_id="shop", smtp=smtp)

        by_project = ProjectMail(settings, MailFiles(settings, tmp_path / "outbox"), ProjectSmtp, load, first_rest=0.3)
        behaviour.hang_up = 1
        with pytest.raises(ConnectionError):
            await by_project.deliver(LETTER)
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(Postponed):
                await by_project.deliver(LETTER)
        assert time.monotonic() - began < 0.3, "nobody asked the server"
        await by_project.deliver(LETTER.model_copy(update={"project": ""}))
        assert len(list((tmp_path / "outbox").iterdir())) == 1, "others are not concerned"
        await until(lambda: time.monotonic() - began > 0.4)
        await by_project.deliver(LETTER)
        await by_project.deliver(LETTER)
    assert len(behaviour.received) == 2


async def test_a_project_s_server_that_came_to_be_inside_is_not_reached(tmp_path: Path) -> None:
    """The name was public when the project was configured."""
    behaviour, settings = Behaviour(), Settings(data=tmp_path)
    with smtp_server(behaviour, tmp_path) as (port, _):

        async def load(_project: str) -> Project:
            smtp = SmtpConfigured(enabled=True, host="localhost", port=port, sender_email="shop@example.org")
            return Project(project_id="shop", smtp=smtp)

        by_project = ProjectMail(settings, MailFiles(settings, tmp_path / "outbox"), ProjectSmtp, load)
        with pytest.raises(Postponed, match="no public address"):
            await by_project.deliver(LETTER)
    assert not behaviour.received
