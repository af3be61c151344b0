"""Where other machines find this one: :func:`own_address`."""

import socket


def own_address() -> str | None:
    """Return the IPv4 address of this machine in its network; None: it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it only chooses an interface. The address is one for documentation.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address
