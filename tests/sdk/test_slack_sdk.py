"""Slack's own SDK, unmodified but for its base URL, against a real node: the Web API, and bots on RTM."""

import os
import pathlib
import queue
import subprocess
import sys
import threading
import unittest
import uuid

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.rtm_v2 import RTMClient

from node import STEP_MAX_S, Node, first_line


class Listener:
    """An RTM client in a thread that puts what it hears into a queue."""

    def __init__(self, node, token):
        self.heard = queue.Queue()
        connected = threading.Event()
        self.client = RTMClient(token=token, base_url=node.api_url, ping_interval=1)
        # Not `client.on`: for a person's token the SDK's own filter (no bot_id equals no bot_id) drops everything.
        self.client.message_listeners.append(lambda client, event: event.get("type") == "hello" and connected.set())
        self.client.message_listeners.append(lambda client, event: self.heard.put(event))
        self.client.connect()
        if not connected.wait(STEP_MAX_S):
            raise AssertionError("RTM said no hello")

    def until(self, fits, what):
        while True:
            try:
                event = self.heard.get(timeout=STEP_MAX_S)
            except queue.Empty:
                raise AssertionError(f"hung for {STEP_MAX_S} s: {what}") from None
            if fits(event):
                return event

    def close(self):
        self.client.close()


class SlackSdk(unittest.TestCase):
    start = Node

    def setUp(self):
        self.node = self.start()
        self.addCleanup(self.node.close)
        self.ann, ann_token = self.node.user("ann")
        self.bot, self.bot_token = self.node.user("helper", "--bot")
        self.ann_web = WebClient(token=ann_token, base_url=self.node.api_url)
        self.bot_web = WebClient(token=self.bot_token, base_url=self.node.api_url)
        self.ann_token = ann_token
        self.general = next(
            channel["id"]
            for page in self.bot_web.conversations_list(limit=1)
            for channel in page["channels"]
            if channel["name"] == "general"
        )
        self.ann_web.conversations_join(channel=self.general)

    def refused(self, call, **args):
        with self.assertRaises(SlackApiError) as caught:
            call(**args)
        return caught.exception.response["error"]

    def listen(self, token):
        listener = Listener(self.node, token)
        self.addCleanup(listener.close)
        return listener

    def test_a_bot_lives_in_a_channel_a_thread_and_a_direct_conversation(self):
        self.bot_web.conversations_join(channel=self.general)
        here = pathlib.Path(__file__).parent
        environment = {"SLACK_API_URL": self.node.api_url, "SLACK_BOT_TOKEN": self.bot_token}
        bot = subprocess.Popen(
            [sys.executable, str(here / "bot.py")], env={**os.environ, **environment}, stdout=subprocess.PIPE
        )
        self.addCleanup(bot.stdout.close)
        self.addCleanup(bot.wait, STEP_MAX_S)
        self.addCleanup(bot.kill)
        self.assertEqual(first_line(bot, "the bot connecting").strip(), b"connected")
        ears = self.listen(self.ann_token)
        direct = self.ann_web.conversations_open(users=[self.bot])["channel"]["id"]
        for channel in (self.general, direct):
            ping = self.ann_web.chat_postMessage(channel=channel, text="ping")
            pong = ears.until(lambda event: event.get("thread_ts") == ping["ts"] and "text" in event, "a pong")
            self.assertEqual(pong["text"], f"pong <@{self.ann}>")
            self.assertEqual(pong["user"], self.bot)
            self.assertTrue(pong["bot_id"].startswith("B"))
            thread = self.ann_web.conversations_replies(channel=channel, ts=ping["ts"])["messages"]
            self.assertEqual([message["text"] for message in thread], ["ping", f"pong <@{self.ann}>"])
            self.assertEqual((thread[0]["reply_count"], thread[0]["latest_reply"]), (1, pong["ts"]))

    def test_messages_are_posted_changed_reacted_to_and_deleted(self):
        self.bot_web.conversations_join(channel=self.general)
        ears = self.listen(self.ann_token)
        blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*hi*"}}]
        posted = self.bot_web.chat_postMessage(channel=self.general, text="hi", blocks=blocks)
        self.assertEqual(posted["message"]["blocks"], blocks)
        heard = ears.until(lambda event: event.get("ts") == posted["ts"], "the message")
        self.assertEqual((heard["text"], heard["blocks"]), ("hi", blocks))
        self.bot_web.chat_update(channel=self.general, ts=posted["ts"], text="ho", blocks=[])
        changed = ears.until(lambda event: event.get("subtype") == "message_changed", "the change")
        self.assertEqual((changed["message"]["text"], changed["previous_message"]["text"]), ("ho", "hi"))
        self.ann_web.reactions_add(channel=self.general, timestamp=posted["ts"], name="wave")
        reacted = ears.until(lambda event: event.get("type") == "reaction_added", "the reaction")
        self.assertEqual((reacted["reaction"], reacted["item_user"]), ("wave", self.bot))
        message = self.ann_web.conversations_history(channel=self.general, limit=1)["messages"][0]
        self.assertEqual(message["reactions"], [{"name": "wave", "users": [self.ann], "count": 1}])
        self.assertEqual(message["edited"]["user"], self.bot)
        self.bot_web.chat_delete(channel=self.general, ts=posted["ts"])
        deleted = ears.until(lambda event: event.get("subtype") == "message_deleted", "the deletion")
        self.assertEqual(deleted["deleted_ts"], posted["ts"])
        texts = [message["text"] for message in self.ann_web.conversations_history(channel=self.general)["messages"]]
        self.assertNotIn("ho", texts)

    def test_a_retry_under_the_same_client_msg_id_is_one_message(self):
        args = {"channel": self.general, "text": "once", "client_msg_id": str(uuid.uuid4())}
        first = self.ann_web.api_call("chat.postMessage", json=args)
        again = self.ann_web.api_call("chat.postMessage", json=args)
        self.assertEqual(first["ts"], again["ts"])

    def test_pages_of_the_sdk_are_the_whole(self):
        sent = [self.ann_web.chat_postMessage(channel=self.general, text=f"m{n}")["ts"] for n in range(7)]
        pages = self.ann_web.conversations_history(channel=self.general, limit=2, oldest=sent[0], latest="now")
        found = [message["ts"] for page in pages for message in page["messages"]]
        self.assertEqual(found, sent[:0:-1])
        users = {user["id"] for page in self.ann_web.users_list(limit=1) for user in page["members"]}
        self.assertTrue({self.ann, self.bot} <= users and len(users) == 3, users)
        channels = {c["name"] for page in self.ann_web.conversations_list(limit=1) for c in page["channels"]}
        self.assertEqual(channels, {"general", "random"})

    def test_who_is_who(self):
        identity = self.bot_web.auth_test()
        self.assertEqual((identity["user_id"], identity["url"]), (self.bot, self.node.base_url))
        self.assertTrue(identity["bot_id"])
        self.assertNotIn("bot_id", self.ann_web.auth_test().data)
        self.assertEqual(self.bot_web.users_info(user=self.ann)["user"]["name"], "ann")
        info = self.bot_web.conversations_info(channel=self.general, include_num_members=True)["channel"]
        self.assertEqual((info["name"], info["is_general"], info["num_members"]), ("general", True, 2))
        self.assertEqual(self.bot_web.team_info()["team"]["name"], "demo")

    def test_refusals_are_slacks_own(self):
        nobody = WebClient(token="xoxb-nobody", base_url=self.node.api_url)
        self.assertEqual(self.refused(nobody.auth_test), "invalid_auth")
        here = {"channel": self.general, "text": "x"}
        self.assertEqual(self.refused(self.bot_web.chat_postMessage, **here), "not_in_channel")
        there = {"channel": "C0000000000", "text": "x"}
        self.assertEqual(self.refused(self.bot_web.chat_postMessage, **there), "channel_not_found")
        self.assertEqual(self.refused(self.ann_web.chat_postMessage, channel=self.general, text="", blocks=[]), "no_text")
        self.assertEqual(self.refused(self.ann_web.api_call, api_method="no.such"), "unknown_method")
        token = self.node.admin(
            "token", "create", "--workspace", "demo", "--user", self.bot, "--scope", "channels:read"
        )
        modest = WebClient(token=token, base_url=self.node.api_url)
        self.assertEqual(self.refused(modest.chat_postMessage, **here), "missing_scope")
        self.node.admin("token", "revoke", token)
        self.assertEqual(self.refused(modest.auth_test), "token_revoked")

    def test_nothing_that_was_acknowledged_is_lost_and_clients_come_back_after_a_kill(self):
        ears = self.listen(self.ann_token)
        sent = [self.ann_web.chat_postMessage(channel=self.general, text=f"m{n}")["ts"] for n in range(20)]
        self.node.kill()
        self.node.start()
        found = [m["ts"] for m in self.ann_web.conversations_history(channel=self.general, oldest=sent[0])["messages"]]
        self.assertEqual(found, sent[:0:-1])
        for hello in ("first", "second"):
            ears.until(lambda event: event.get("type") == "hello", f"the client's {hello} hello")
        after = self.ann_web.chat_postMessage(channel=self.general, text="again")
        heard = ears.until(lambda event: event.get("text") == "again", "a message after the restart")
        self.assertEqual(heard["ts"], after["ts"])
        self.assertGreater(after["ts"], sent[-1])


if __name__ == "__main__":
    unittest.main()
