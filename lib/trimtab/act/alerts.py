"""Who is told? Messages through Apprise, which never hold up or fail a run."""

from __future__ import annotations

import threading
from collections.abc import Sequence

_PATIENCE = 10.0    # seconds that the end of a run waits for messages to get out


def send(urls: Sequence[str], *, title: str, body: str) -> str | None:
    """Send a message to every address.

    Parameters
    ----------
    urls : sequence of str
        Apprise URLs.
    title, body : str
        Plain text.

    Returns
    -------
    str or None
        What went wrong, in one sentence without any address; None when all took it or there were none.
    """
    if not urls:
        return None
    problems: list[str] = []

    def _try() -> None:
        try:
            _deliver(urls, title, body, problems)
        except Exception as error:  # noqa: BLE001 -- a message is never worth a run; what its text may hold is not told
            problems.append(f"an alert failed ({type(error).__name__})")

    thread = threading.Thread(target=_try, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if thread.is_alive():
        return f"alerts were still under way after {_PATIENCE:g} s"
    return "; ".join(problems) or None


def _deliver(urls: Sequence[str], title: str, body: str, problems: list[str]) -> None:
    import apprise

    service = apprise.Apprise()
    refused = sum(not service.add(url) for url in urls)
    if refused:
        problems.append(f"{refused} of {len(urls)} alert addresses are not understood")
    if refused < len(urls) and not service.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT):
        problems.append("an alert could not be delivered")
