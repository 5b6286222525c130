"""One rank: trains the configuration FILE once under each of the strategies named after it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from atomfm_calc.config import load_config
from training.config import PretrainConfig
from training.pretrain import pretrain


def main() -> None:
    path, *strategies = sys.argv[1:]
    config = load_config(PretrainConfig, path)
    first_port = int(os.environ["MASTER_PORT"])
    for number, strategy in enumerate(strategies):
        # a rank that is quick would meet the others at the address that they are leaving
        os.environ["MASTER_PORT"] = str(first_port + number)
        parallel = replace(config.parallel, strategy=strategy)
        pretrain(replace(config, output=Path(path).parent / strategy, parallel=parallel))


if __name__ == "__main__":
    main()
