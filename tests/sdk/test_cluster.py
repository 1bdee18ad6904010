"""What the SDK does with one node it does with six, while the others are killed one after the other."""

import unittest

import test_slack_sdk
from cluster import Cluster


class SlackSdkWhileNodesAreKilled(test_slack_sdk.SlackSdk):
    start = Cluster


if __name__ == "__main__":
    unittest.main()
