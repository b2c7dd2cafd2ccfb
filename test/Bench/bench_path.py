"""Lets the tests beside it import bench/measure."""
import pathlib
import sys

FOLDER = str(pathlib.Path(__file__).resolve().parent.parent.parent / "bench")
sys.path.insert(0, FOLDER)
