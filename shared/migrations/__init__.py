"""The schema's history. The app never imports this package: it needs Alembic, and a cold start would pay for it."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def upgrade(url: str) -> None:
    """Bring the database at ``url`` to the newest schema. Running it again changes nothing."""
    command.upgrade(_config(url), "head")


def downgrade(url: str) -> None:
    """Take every object of ours out of the database at ``url``, with all data in them."""
    command.downgrade(_config(url), "base")


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["url"] = url
    return config
