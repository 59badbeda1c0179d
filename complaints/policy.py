"""The words a reporter agrees to: the version of the privacy policy, and the statement at each consent."""

POLICY = "1"  # docs/privacy-policy.md
STATEMENT = "I have read what will be sent, and this mail was unsolicited."
STATEMENT_VERSION = "1"
