"""The words a reporter agrees to: the version of the privacy policy, and the statement at each consent."""

POLICY = "1"  # docs/privacy-policy.md
STATEMENT = "I have read what will be sent, and this mail was unsolicited."
STATEMENT_VERSION = "1"
STANDING = "standing consent"  # the way of a consent that was given under one
STANDING_STATEMENT = (
    "Report for me, without asking each time, to the desk of the network that a spam came from. "
    "I get a mail about each one before it leaves, can take it back until then, and can end this at any time."
)
