"""What keeps a page the kit's own: response headers, and who may send a form.

Forms carry no token. Captive-portal mini-browsers often keep no cookies, and pages are shared between readers, so a
token would have nothing to be compared with. Instead a state-changing request must come from the kit's own pages by
what the browser itself says, which a foreign page cannot forge: `Sec-Fetch-Site`, else `Origin`, else `Referer`. A
client that sends none of the three is no browser that could be lured (or one from before 2011) and is let through;
what is worth protecting (the technician's pages) is in addition behind a `SameSite=Strict` session cookie.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

PHONE_TIME_SCRIPT = (
    "(function(){var f=document.getElementById('phone-time');if(!f||!Date.now)return;"
    "document.getElementById('typed-time').hidden=true;f.elements.at.required=false;"
    "var s=document.getElementById('shown-time');s.hidden=false;"
    "function t(){s.lastChild.textContent=new Date().toLocaleString();f.elements.ms.value=Date.now()}"
    "t();setInterval(t,1000);f.addEventListener('submit',t)})()"
)
"""The one script: fills in the phone's own time, which no form can do. Without it the time is typed."""


CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; media-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and no script at all: the pages work without."""


def policy_with(script: str) -> str:
    """The policy of a page that holds this one script and no other."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{CONTENT_SECURITY_POLICY}; script-src 'sha256-{digest}'"


HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # same-origin, not no-referrer: that would make browsers send `Origin: null` with the kit's own forms
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def is_from_own_page(header: Callable[[str], str | None], host: str) -> bool:
    """Whether a state-changing request comes from a page of this host, by what the browser says.

    Args:
        header: looks up one of the request's headers.
        host: the request's Host, with its port.
    """
    site = header("Sec-Fetch-Site")
    if site is not None:
        # "none": the person asked for it themselves, for example by loading a sent form again
        return site in ("same-origin", "none")
    for name in ("Origin", "Referer"):
        said = header(name)
        if said and said != "null":
            return urlsplit(said).netloc.lower() == host.lower()
    # no Referer beside a null Origin: sent by a page that hides where it comes from
    return header("Origin") is None
