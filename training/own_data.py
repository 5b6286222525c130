"""What a user's file means: which keys hold the labels, in which units. Part of configurations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, TypeAdapter
from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG, config_to_dict
from atomfm_calc.errors import ConfigError
from atomfm_calc.units import energy_factor, forces_factor, length_factor, stress_factor


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class OwnData:
    """A user's file and what its numbers mean."""

    path: Path
    """File, or a folder of such files; the format is that of the ending (`ENDINGS`)."""
    energy_key: str | None = None
    """Key of the total energy; None: `REF_energy`, else what ASE reads as `energy`."""
    forces_key: str | None = None
    """Key of the forces; None: `REF_forces`, else what ASE reads as `forces`."""
    stress_key: str | None = None
    """Key of the stress or virial; None: `REF_stress`, else what ASE reads as `stress`."""
    group_key: str | None = None
    """Key that is equal in rows to be held out together, such as those of one trajectory."""
    energy_unit: str = "eV"
    """Key of `ENERGY_UNITS`."""
    length_unit: str = "angstrom"
    """Of positions and cells; key of `LENGTH_UNITS`."""
    forces_unit: str = "eV/angstrom"
    """Energy unit / length unit, such as kcal/mol/angstrom."""
    stress_unit: str = "eV/angstrom^3"
    """Key of `STRESS_UNITS`; of a virial: not used, that is in the energy unit."""
    stress_sign: Literal["tension positive", "compression positive"] = "tension positive"
    """ASE: tension positive, a compressed crystal has a negative stress. VASP's output: the other
    way round."""
    stress_is: Literal["stress", "virial"] = "stress"
    """virial: minus stress times volume, as in files for GAP."""

    def __post_init__(self) -> None:
        energy_factor(self.energy_unit)
        length_factor(self.length_unit)
        forces_factor(self.forces_unit)
        stress_factor(self.stress_unit)

    def meaning(self) -> dict[str, str | None]:
        """Everything but where the file is: what its numbers depend on."""
        return {key: value for key, value in config_to_dict(self).items() if key != "path"}


def own_data(own: OwnData | Path) -> OwnData:
    """A file described by its path alone has the keys and units that `OwnData` begins with."""
    return OwnData(path=own) if isinstance(own, Path) else own


def _described(value: Any) -> Any:
    """Read a mapping here, so that its errors name its keys and not the choices of the union."""
    if isinstance(value, Mapping):
        return TypeAdapter(OwnData).validate_python(value)
    if not isinstance(value, OwnData | Path | str):
        raise ConfigError("give a path, or the key path with other keys and units beside it")
    return value


OwnFileConfig = Annotated[OwnData | Path, BeforeValidator(_described)]
"""In a configuration: a path, or the fields of `OwnData`."""
