"""A person's account: who they are, how they sign in, their sessions, labels and preferences."""

from accounts_es.domain.account.aggregate import ACCOUNT, Account, Session, Target

__all__ = ["ACCOUNT", "Account", "Session", "Target"]
