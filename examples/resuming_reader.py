"""A reader that resumes: python examples/resuming_reader.py 'http://127.0.0.1:8000/chat?q=why'."""

import sys

from gaistream.client import ClientError, Reconnecting, connect_sse


def told(notice: Reconnecting) -> None:
    """Say what happened and what comes."""
    behind = f"in {notice.delay:.1f} s behind event {notice.last_event_id!r}"
    print(f"reconnecting {behind}: {notice.reason}", file=sys.stderr)


def main(url: str, last_event_id: str = "") -> None:
    """Print the data of one answer; interrupted, tell the id that goes on behind it."""
    source = connect_sse(url, last_event_id=last_event_id, on_reconnect=told)
    try:
        with source as events:
            for event in events:
                if event.event != "done":
                    print(event.data, flush=True)
    except ClientError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(f"interrupted; go on by a second argument: {source.last_event_id!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
