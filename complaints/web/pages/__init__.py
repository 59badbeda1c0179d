"""One module per page for people: each works without scripts and without cookies, and GET changes nothing."""
