"""Run one contender once: `worker.py SUITE WORKLOAD CONTENDER STAGE` prints a sample in JSON."""

from __future__ import annotations

import importlib
import json
import sys

from servers import Stage

if __name__ == "__main__":
    suite, name, contender, stage = sys.argv[1:]
    fields = json.loads(stage)
    fields["md5"] = {int(mib): digest for mib, digest in fields["md5"].items()}
    workload = importlib.import_module(suite).WORKLOADS[name]
    print(json.dumps(workload.contenders[contender](Stage(**fields))))
