"""One YAML file without includes -> one frozen dataclass; nothing unknown, nothing guessed.

`CONFIG` is given to `pydantic.dataclasses.dataclass` by every configuration class, so that an
unknown key or a wrong type is an error. Mind YAML 1.1: `1e-3` is text to PyYAML (read as a number
where a number is due) and `no` is False.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from atomfm_calc.errors import ConfigError
from atomfm_calc.files import write_at_once

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Shared pydantic settings of all configuration dataclasses."""

Config = TypeVar("Config")


def load_config(cls: type[Config], path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file into the configuration class `cls`.

    Args:
        cls: a pydantic dataclass built with `CONFIG`.
        path: the YAML file.
        overrides: "section.key=value" pairs that replace what the file says; values are YAML.

    Raises:
        ConfigError: no such file, not YAML, unknown or missing key, wrong type or choice; names
            file and key.
    """
    path = Path(path)
    try:
        content = _load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8; is it a YAML file?") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML that is read here: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds {type(content).__name__}; expected keys and values")
    for override in overrides:
        _apply_override(content, override)
    return parse_config(cls, content, origin=str(path))


def parse_config(cls: type[Config], content: Mapping[str, Any], origin: str) -> Config:
    """Build `cls` from nested mappings; `origin` is named in every ConfigError."""
    try:
        return TypeAdapter(cls).validate_python(content)
    except ValidationError as error:
        lines = [_explain(cls, dict(problem)) for problem in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from error


def config_to_dict(config: Any) -> dict[str, Any]:
    """Nested plain mappings (str, int, float, list, None) of a configuration."""
    content: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return content


def dump_config(config: Any, path: str | Path) -> None:
    """Write a configuration as YAML that `load_config` reads back."""
    text = yaml.safe_dump(config_to_dict(config), sort_keys=False, allow_unicode=True, width=100)
    write_at_once(text.encode(), Path(path))


class _PlainLoader(yaml.SafeLoader):
    """YAML without tags that make objects, or aliases: ten lines of them hold gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "an alias (*name); write its content out", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)


def _load_yaml(text: str) -> Any:
    loader = _PlainLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise ConfigError(f"override {override!r} has no '='; write section.key=value")
    *sections, last = key.split(".")
    target = content
    for section in sections:
        inner = target.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"override {override!r}: {section!r} holds a value, not a section")
        target = inner
    try:
        target[last] = _load_yaml(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"override {override!r}: the value is not YAML") from error


def _explain(cls: type, problem: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = sorted(_field_names(cls))
        near = get_close_matches(str(problem["loc"][-1]), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"unknown key {where!r}.{hint}"
    if problem["type"] in ("missing", "missing_argument"):
        return f"missing key {where!r}"
    return f"{where or 'file'}: {problem['msg']} (got {problem['input']!r})"


def _field_names(hint: Any) -> set[str]:
    """Field names of a dataclass and of all dataclasses in its fields, tuples, dicts and unions."""
    if dataclasses.is_dataclass(hint):
        fields = get_type_hints(hint)  # the annotations themselves are text
        return set(fields).union(*(_field_names(inner) for inner in fields.values()))
    return set().union(*(_field_names(inner) for inner in get_args(hint)))
