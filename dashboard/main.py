"""Entry of `panel serve dashboard`."""

from dashboard.app import serve

serve()
