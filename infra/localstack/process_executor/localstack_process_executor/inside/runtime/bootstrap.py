"""The runtime's entry point: sets `sys.path` in AWS's order, then runs awslambdaric.

python bootstrap.py <folder of the layers>   (_HANDLER names the handler, LAMBDA_TASK_ROOT the folder of the code)
"""

import os
import site
import sys

import awslambdaric.bootstrap
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient


def set_path(task: str, layers: str) -> None:
    """Add the function's code and its layers to `sys.path`; a PYTHONPATH of the function replaces the layers."""
    folders = [task]
    if "PYTHONPATH" not in os.environ:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        folders += [f"{layers}/python/lib/{version}/site-packages", f"{layers}/python"]
        os.environ["PYTHONPATH"] = os.environ["LAMBDA_RUNTIME_DIR"]  # for processes that the function starts
    sys.path[:0] = folders
    for folder in folders:
        site.addsitedir(folder)  # processes .pth files


if __name__ == "__main__":
    set_path(os.environ["LAMBDA_TASK_ROOT"], sys.argv[1])
    client = LambdaRuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"])
    awslambdaric.bootstrap.run(os.environ["_HANDLER"], client)
