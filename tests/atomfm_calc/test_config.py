"""YAML in, frozen dataclass out, and an error for everything else."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, field
from pathlib import Path
from typing import Literal

import pytest
from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG, config_to_dict, dump_config, load_config, parse_config
from atomfm_calc.errors import ConfigError


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Inner:
    rate: float = 0.1
    widths: tuple[int, ...] = (8, 4)
    folder: Path | None = None


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Outer:
    name: str
    rule: Literal["sum", "mean"] = "sum"
    inner: Inner = field(default_factory=Inner)
    weights: dict[str, float] = field(default_factory=dict)


def _file(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    config = Outer(
        name="a", rule="mean", inner=Inner(rate=1e-5, folder=Path("b/c")), weights={"x": 2.0}
    )
    dump_config(config, tmp_path / "saved.yaml")
    assert load_config(Outer, tmp_path / "saved.yaml") == config
    assert config_to_dict(config)["inner"]["widths"] == [8, 4]


def test_a_number_that_yaml_takes_for_text_is_read_as_a_number(tmp_path: Path) -> None:
    path = _file(tmp_path, "{name: a, inner: {rate: 1e-3}}")
    assert load_config(Outer, path).inner.rate == 1e-3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: a, inner: {rat: 1.0}}", "unknown key 'inner.rat'. Did you mean 'rate'?"),
        ("{name: a, iner: {}}", "unknown key 'iner'. Did you mean 'inner'?"),
        ("{rule: sum}", "missing key 'name'"),
        ("{name: a, rule: median}", "rule: Input should be 'sum' or 'mean' (got 'median')"),
        ("{name: a, inner: {rate: .nan}}", "inner.rate"),
        ("{name: a, inner: {rate: fast}}", "(got 'fast')"),
        ("{name: a, inner: {widths: [1.5]}}", "inner.widths"),
        ("{name: no}", "name: Input should be a valid string (got False)"),
        ("just text", "holds str; expected keys and values"),
        ("{name: [", "is not YAML"),
        ("", "holds NoneType"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_config(Outer, path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_every_mistake_in_a_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing key 'name'.*; .*inner\.rate"):
        load_config(Outer, _file(tmp_path, "{inner: {rate: fast}}"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration .*absent.yaml"):
        load_config(Outer, tmp_path / "absent.yaml")


def test_overrides_replace_values_and_make_sections(tmp_path: Path) -> None:
    path = _file(tmp_path, "{name: a, rule: sum}")
    config = load_config(
        Outer, path, ["rule=mean", "inner.rate=1e-4", "inner.widths=[3]", "weights.x=2"]
    )
    assert (config.rule, config.inner.rate, config.inner.widths) == ("mean", 1e-4, (3,))
    assert config.weights == {"x": 2.0}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rule", "'rule' has no '='; write section.key=value"),
        ("rule.x=1", "'rule' holds a value, not a section"),
        ("rule=[", "the value is not YAML"),
        ("rull=sum", "unknown key 'rull'. Did you mean 'rule'"),
    ],
)
def test_a_wrong_override_is_refused(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        load_config(Outer, _file(tmp_path, "{name: a, rule: sum}"), [override])


def test_a_configuration_cannot_be_changed() -> None:
    config = parse_config(Outer, {"name": "a"}, origin="here")
    with pytest.raises(FrozenInstanceError):
        config.name = "b"  # type: ignore[misc]
