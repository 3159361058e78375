"""What surrounds a page: the app, its drawers, its dialogs and its session."""
