"""What other trackers, templates and people call things: the headings of their tables, and how things stand."""

import re
import unicodedata

_HEADINGS = {
    "id": "id",
    "company": (
        "company|company name|companyname|employer|employer name|organization|organisation|firm|firma"
        "|unternehmen|arbeitgeber|firmenname|entreprise|empresa|company organization"
    ),
    "position": (
        "position|job title|jobtitle|title|role|role title|job|job position|position title|job role"
        "|stelle|stellenbezeichnung|jobtitel|rolle|beruf|poste|puesto|vacancy"
    ),
    "location": "location|job location|city|place|ort|standort|arbeitsort|lieu",
    "workplace": ("workplace|work type|workplace type|remote|work mode|work model|arbeitsmodell|remote hybrid onsite"),
    "url": (
        "url|job url|link|job link|posting|posting url|job posting|job post url|job posting url"
        "|job posting link|application link|application url|website link|listing|stellenanzeige"
        "|stellenlink|webseite der stelle"
    ),
    "source": (
        "source|platform|found on|where found|job board|site|channel|quelle|gefunden auf|portal"
        "|job source|application source|via"
    ),
    "priority": "priority|prioritat|prio",
    "tags": "tags|tag|labels|label|keywords|schlagworte",
    "status": (
        "status|current status|application status|stage|state|job status|list|list name|board list"
        "|phase|stand|bewerbungsstatus|statut|current stage"
    ),
    "close_reason": "close reason|rejection reason|reason closed|reason|ablehnungsgrund",
    "salary": (
        "salary|salary range|pay|compensation|pay range|salary expectation|gehalt|gehaltsspanne"
        "|gehaltsvorstellung|salaire|salary k|estimated salary"
    ),
    "salary_min": "salary min|min salary|minimum salary|salary minimum|min salary amount|salary from|gehalt von",
    "salary_max": "salary max|max salary|maximum salary|salary maximum|max salary amount|salary to|gehalt bis",
    "salary_currency": "salary currency|currency|wahrung|salary currency code",
    "salary_period": "salary period|pay period|salary interval|salary frequency|pay frequency",
    "applied_on": (
        "applied on|applied|date applied|applied date|application date|applied at|date of application"
        "|bewerbungsdatum|beworben am|bewerbung am|datum der bewerbung|date submitted"
        "|submitted|apply date"
    ),
    "deadline": ("deadline|application deadline|due date|closing date|apply by|bewerbungsfrist|frist|job deadline"),
    "saved_on": (
        "date saved|saved on|date added|added|added on|saved at|created|created at|created time"
        "|date created|erstellt|erstellt am|hinzugefugt am|bookmarked on"
    ),
    "changed_on": (
        "status changed on|status date|last status change|date of status|last updated|updated"
        "|updated at|last update|status updated|letzte anderung|statusdatum|last moved|last edited time"
        "|moved at"
    ),
    "notes": "notes|note|comments|comment|remarks|notizen|bemerkungen|bemerkung|kommentar|anmerkungen",
}
HEADINGS = {name: field for field, names in _HEADINGS.items() for name in names.split("|")}
"""Headings, as ``plain()`` spells them, and the field that each stands for."""

_STATUSES = {
    ("saved", None): (
        "saved|save|wishlist|wish list|bookmarked|bookmark|interested|to apply|not applied"
        "|not yet applied|not started|backlog|lead|leads|draft|drafted|researching|applying|todo"
        "|to do|considering|new|gemerkt|merkliste|geplant|offen|vorgemerkt|noch nicht beworben"
    ),
    ("applied", None): (
        "applied|application sent|application submitted|submitted|sent|apply|waiting"
        "|waiting for response|pending|under review|in review|awaiting response|applied waiting"
        "|beworben|bewerbung versendet|verschickt|abgeschickt|eingereicht|postule"
    ),
    ("screening", None): (
        "screening|screen|phone screen|phone screening|recruiter screen|phone interview|recruiter call"
        "|hr screen|hr call|hr interview|initial call|assessment|online assessment|oa|take home"
        "|coding challenge|test|contacted|telefoninterview|telefongesprach|erstgesprach"
    ),
    ("interview", None): (
        "interview|interviewing|interviews|interviewed|in interview|interview scheduled|technical"
        "|technical interview|onsite|on site|onsite interview|final round|final interview"
        "|hiring manager screen|interview stage|in progress|vorstellungsgesprach|gesprach|im gesprach"
        "|bewerbungsgesprach|entretien"
    ),
    ("offer", None): (
        "offer|offered|offer received|negotiating|negotiation|negotiation offer|angebot|zusage|angebot erhalten|offre"
    ),
    ("accepted", None): "accepted|offer accepted|hired|got the job|signed|accepted offer|angenommen|eingestellt",
    ("rejected", "rejected"): (
        "rejected|rejection|not selected|turned down|no|denied|unsuccessful|not moving forward"
        "|refused|abgelehnt|absage|absage erhalten|refus|rejected after interview"
    ),
    ("ghosted", "ghosted"): (
        "ghosted|ghost|no response|no answer|no reply|not answered|keine antwort|keine ruckmeldung|never heard back"
    ),
    ("withdrawn", "withdrew"): (
        "withdrawn|withdrew|withdraw|i withdrew|cancelled|canceled|zuruckgezogen|not interested"
        "|no longer interested|dropped|abgebrochen"
    ),
    ("closed", "declined"): "declined|offer declined|declined offer|i declined|turned down offer|angebot abgelehnt",
    ("closed", "role_closed"): (
        "job closed|role closed|position closed|position filled|filled|expired|posting expired"
        "|stelle besetzt|stelle geschlossen"
    ),
    ("closed", None): "closed|archived|archive|inactive|archiviert|geschlossen|lost|done",
}
STATUSES = {name: target for target, names in _STATUSES.items() for name in names.split("|")}
"""Words for how an application stands, as ``plain()`` spells them: our status, and the reason where it is closed."""

WORKPLACES = {
    name: workplace
    for workplace, names in {
        "remote": "remote|fully remote|100 remote|home office|homeoffice|yes|true|work from home|wfh|telearbeit",
        "hybrid": "hybrid|partly remote|teilweise remote|flexible",
        "on_site": "on site|onsite|in office|office|in person|vor ort|prasenz|buro|no|false",
    }.items()
    for name in names.split("|")
}
PRIORITIES = {
    name: priority
    for priority, names in {
        "low": "low|niedrig|gering",
        "medium": "medium|mid|normal|mittel",
        "high": "high|hoch|top|dream job",
    }.items()
    for name in names.split("|")
}


def plain(text: str) -> str:
    """A heading or a word without case, accents, punctuation and pictures: "📌 Company_Name*" is "company name"."""
    letters = unicodedata.normalize("NFKD", text.replace("ß", "ss")).lower()
    kept = "".join(c for c in letters if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", kept).strip()
