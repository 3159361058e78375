"""What the laboratory shows, without a screen: settings, runs, studies, races and the clock that moves them."""
