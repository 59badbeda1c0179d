"""Words of the pages for what the tables say: one short label and one sentence per state."""

from complaints.models import ComplaintState as C
from complaints.models import ReportState as R

# state → label, sentence. Colour only repeats what the label says.
COMPLAINT = {
    C.RECEIVED: ("being read", "We are reading the spam. This page renews itself."),
    C.ANALYSED: ("being looked up", "We are asking who answers for it. This page renews itself."),
    C.AWAITING_CONSENT: ("waits for you", "Nothing has been sent, and nothing will be until you confirm."),
    C.CONFIRMED: ("confirmed", "You confirmed it. What became of each report stands below."),
    C.CLOSED: ("closed", "Nothing more is sent. If a desk answers, we write to you, and it stands here."),
    C.REFUSED: ("cannot be reported", "Nobody can be told about this spam."),
    C.EXPIRED: ("expired", "It was not confirmed in time, so nothing was sent."),
    C.DISCARDED: ("discarded", "You decided to send nothing."),
}
REPORT = {
    R.DRAFT: ("not chosen", "You did not choose this desk; it gets nothing."),
    R.SUPPRESSED: ("not wanted", "This desk asked for no more reports."),
    R.CONSENTED: ("confirmed", "You confirmed it; it is about to be queued."),
    R.QUEUED: ("queued", "It waits to be handed to the desk's mail host."),
    R.SENDING: ("being sent", "It is being handed to the desk's mail host now."),
    R.SENT: ("sent", "The next mail host took it."),
    R.BOUNCED: ("came back", "It was sent, and came back undelivered."),
    R.FAILED: ("failed", "The desk's mail host did not take it; we do not try again."),
    R.HELD: ("held back", "The check before sending stopped it. Nothing was sent."),
    R.CANCELLED: ("taken back", "You took it back before it left."),
    R.UNCONFIRMED: (
        "may have been sent",
        (
            "The connection ended before the desk's mail host answered, so it may have been sent. "
            "It is not sent again by itself: accusing twice is worse than once too few. "
            "An answer or a bounce will settle it."
        ),
    ),
}
SOURCES = {
    "rdap": "RDAP",
    "whois": "WHOIS",
    "dns": "DNS",
    "known": "our list of known desks",
    "soa": "DNS, who keeps the zone",
    "header": "the message itself, CFBL-Address",
}
REPLIES = {
    "bounce": "Bounce: the report, or a later copy of it, could not be delivered",
    "automatic": "Automatic answer, shown here and answered by nobody",
    "answer": "Answer of the desk",
    "verdict": "Decision of the desk",
}
# The part a desk's host played in the spam → what it is called, and why a desk of it is not ticked by itself
ROLES = {
    "source": ("the sending host", "A better-founded desk for the same host is ticked."),
    "link": (
        "the linked host",
        "A link may lead to somebody innocent: tick it if the spam advertises this host.",
    ),
    "signer": (
        "the domain that signed it",
        "Whoever signs a mail may only have passed it on: tick it if you think it sent it.",
    ),
    "sender-declared": ("the sender's own word, signed by", "The sender itself named this mailbox."),
    "drop-box": ("the drop-box", "It is where the spam wants its answers: tick it if you think so, too."),
}
# Each way to be named in a report → what it does
REDACTIONS = {
    "identity": "Your address and names are replaced by a pseudonym, wherever they stand.",
    "strict": (
        "Also what tells the sender which of its recipients you are: codes in links and lists, ids, your mail"
        " hosts, the second. A desk that looks into its own records may have less to go by."
    ),
    "none": "The spam goes out as it came; the desk sees to whom it was sent.",
    "statistics": "Nothing is sent to anybody. The spam is counted, and that is all.",
}
# Rules of redaction whose names do not speak for themselves
RULES = {
    "address": "your address",
    "mailbox": "your mailbox",
    "local part": "your mailbox name",
    "name": "your name",
    "link": "code in a link",
    "code": "code in a field",
    "id": "id of the message",
    "bounce address": "code in a bounce address",
    "rewriter": "wrapping of your mail service",
    "boundary": "code between parts",
    "time": "second",
    "own mail host": "mail host of yours",
}
