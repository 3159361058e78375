"""Entry of `panel serve dashboard`."""

from dashboard.session import serve

serve()
