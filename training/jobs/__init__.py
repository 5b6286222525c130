"""Batch scripts: one template per scheduler, one file of facts per cluster."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent

CLUSTERS = {
    "local": FOLDER / "clusters" / "local.yaml",
    "frontier": FOLDER / "clusters" / "frontier.yaml",
    "aurora": FOLDER / "clusters" / "aurora.yaml",
    "perlmutter": FOLDER / "clusters" / "perlmutter.yaml",
}
"""Name -> facts; another machine is a YAML file of the same keys."""

TEMPLATES = {
    "local": FOLDER / "templates" / "local.sh",
    "slurm": FOLDER / "templates" / "slurm.sh",
    "pbs": FOLDER / "templates" / "pbs.sh",
}
"""Scheduler -> script."""

CAMPAIGN_TEMPLATES = {
    "slurm": FOLDER / "templates" / "campaign_slurm.sh",
    "pbs": FOLDER / "templates" / "campaign_pbs.sh",
}
"""Scheduler -> script of a search, which starts its trials itself."""

WORKER = FOLDER / "templates" / "worker.sh"
"""What every rank runs: the training command, watched."""
