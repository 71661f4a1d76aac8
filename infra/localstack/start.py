"""Starts LocalStack on loopback only; run by LocalStack's own Python.

LocalStack 4.14.0 ignores the address in GATEWAY_LISTEN and listens on all IPv4 addresses. Its API has no authentication
and returns the functions' settings, including passwords.
"""

import functools

from localstack.runtime.main import main
from twisted.internet import endpoints

endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")

if __name__ == "__main__":
    main()
