"""The runtime's first module: `sys.path` in AWS's order, then awslambdaric.

python bootstrap.py <folder of the layers>   (the handler is in _HANDLER, the code's folder in LAMBDA_TASK_ROOT)
"""

import os
import site
import sys

import awslambdaric.bootstrap
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient


def set_path(task: str, layers: str) -> None:
    """Put the function's code first, then the layers'; a PYTHONPATH of the function's own replaces the layers."""
    folders = [task]
    if "PYTHONPATH" not in os.environ:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        folders += [f"{layers}/python/lib/{version}/site-packages", f"{layers}/python"]
        os.environ["PYTHONPATH"] = os.environ["LAMBDA_RUNTIME_DIR"]  # for processes that the function starts
    sys.path[:0] = folders
    for folder in folders:
        site.addsitedir(folder)  # reads its .pth files


if __name__ == "__main__":
    set_path(os.environ["LAMBDA_TASK_ROOT"], sys.argv[1])
    client = LambdaRuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"])
    awslambdaric.bootstrap.run(os.environ["_HANDLER"], client)
