"""What `panel serve dashboard` is told before it makes its server.

Panel imports this file when it makes the application, which is before it makes the server. Its hook
`on_server_loaded` would be called after that, when the handlers of pages and sockets are chosen already.
"""

from dashboard.server import health, patches

patches.install()
health.install()
