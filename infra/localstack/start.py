"""Starts LocalStack on loopback alone; run by LocalStack's own Python.

4.14.0 listens on every IPv4 address, whatever GATEWAY_LISTEN says, and tells the functions' settings to anybody.
"""

import functools

from localstack.runtime.main import main
from twisted.internet import endpoints

endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")

if __name__ == "__main__":
    main()
