"""What `panel serve dashboard` is told before it makes its server."""

from dashboard.server.page_policy import strict

strict()
