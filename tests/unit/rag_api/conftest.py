"""The example is a folder of scripts, not a package: its files are imported from where they stand."""

import os
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "rag-api"

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(EXAMPLE))
