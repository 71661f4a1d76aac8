"""Starts LocalStack with all its files below FILESYSTEM_ROOT, on loopback only; run by LocalStack's own Python.

LocalStack 4.14.0 ignores the address in GATEWAY_LISTEN and listens on all IPv4 addresses. Its API has no authentication
and returns the functions' settings, including passwords. It keeps the files of S3 in a folder with the same name for
all users of the machine. When it is ready, it runs the script in `init/ready.d`.
"""

import functools
from pathlib import Path

from localstack import config
from localstack.runtime.init import init_script_manager
from localstack.runtime.main import main
from localstack.services.s3 import provider
from twisted.internet import endpoints

from infra.localstack import shortcuts

endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")
init_script_manager().script_root = str(Path(__file__).parent / "init")
provider.DEFAULT_S3_TMP_DIR = str(Path(config.dirs.tmp) / "s3")

shortcuts.install()

if __name__ == "__main__":
    main()
