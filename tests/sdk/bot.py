"""A bot that lives in its channels: whoever says "ping" gets a "pong" in the thread of the message.

    SLACK_API_URL=http://127.0.0.1:8065/api/ SLACK_BOT_TOKEN=xoxb-... python bot.py

Nothing here knows that it does not talk to slack.com but the base URL.
"""

import os

from slack_sdk.rtm_v2 import RTMClient

rtm = RTMClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])


@rtm.on("hello")
def greet(client, event):
    print("connected", flush=True)


@rtm.on("message")
def answer(client, event):
    if event.get("text", "").strip() == "ping":
        client.web_client.chat_postMessage(
            channel=event["channel"],
            thread_ts=event.get("thread_ts", event["ts"]),
            text=f"pong <@{event['user']}>",
        )


if __name__ == "__main__":
    rtm.start()
