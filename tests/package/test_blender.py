"""The package in real Blender, if it is installed: ``pip install bpy`` (Python 3.11 or 3.13, 350 MB).

Blender without its window runs no timers, so the program calls them as Blender's main loop does.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidefx_client.testing import LocalServer

pytestmark = pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="needs Blender: pip install bpy")

PROGRAM = """
import queue, threading, time
from pathlib import Path

import bpy
import sidefx_client as sidefx

results = queue.Queue()

def work():
    with sidefx.service() as service:
        results.put(sidefx.download_build(service, "houdini", "20.5", "production", "linux", directory="downloads"))
        results.put(service.farm.render(scene=sidefx.File("shot.blend")))

def show():
    while not results.empty():
        bpy.data.texts.new(f"result {len(bpy.data.texts)}").write(str(results.get()))
    return 0.01 if len(bpy.data.texts) < 2 else None

bpy.ops.wm.save_as_mainfile(filepath=str(Path("shot.blend").resolve()), compress=True)
thread = threading.Thread(target=work)
thread.start()
bpy.app.timers.register(show)
assert bpy.app.timers.is_registered(show)
while (pause := show()) is not None:
    assert thread.is_alive() or not results.empty() or len(bpy.data.texts) == 2, "the thread died"
    time.sleep(pause)
for text in bpy.data.texts:
    print(text.as_string())
"""


def test_calls_download_and_upload_of_a_scene_work_in_a_thread_of_blender(tmp_path: Path) -> None:
    with LocalServer() as server:
        server.register("farm.render", lambda scene: scene.data == (tmp_path / "shot.blend").read_bytes())
        environment = {**os.environ, **server.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    path, complete = done.stdout.splitlines()[-2:]
    assert complete == "True"
    assert (tmp_path / path).parent == tmp_path / "downloads"
    assert (tmp_path / path).stat().st_size > 0
