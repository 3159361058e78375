"""Entry of `panel serve dashboard`."""

from dashboard.shell.session import serve

serve()
