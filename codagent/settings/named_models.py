"""Models that the user's file describes under names of its own: `[models.NAME]`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from codagent.settings.settings import NamedModel
from codagent.settings.toml import Count, Table, Text, parse_table
from codagent.types import Calling, Effort

_Usd = Annotated[float, Meta(ge=0, le=1e6, description="US dollars for a million tokens")]


class PriceTable(Table, frozen=True):
    """US dollars for a million tokens. `cached` are those of a prompt that the provider read from its cache; None: as any other."""

    prompt: _Usd
    completion: _Usd
    cached: _Usd | None = None


class ModelTable(Table, frozen=True):
    """The table [models.NAME]. None: it is not stated."""

    url: Text | None = None
    key_env: Text | None = None
    window: Count | None = None
    max_output: Count | None = None
    effort: Effort | None = None
    price: PriceTable | None = None
    calling: Calling | None = None
    headers: dict[str, str] | None = None


def parse_models(tables: Mapping[str, Any], where: Path) -> dict[str, NamedModel]:
    """Return the models of the user's file by name. Raises UsageError for what does not fit."""
    return {name: _parse_model(table, f"{where}: [models.{name}]") for name, table in tables.items()}


def _parse_model(table: Any, where: str) -> NamedModel:
    stated = parse_table(table, ModelTable, where=where).to_dict()
    price = stated.pop("price", None)
    return NamedModel(**stated, price=price.to_dict() if price else None)
