"""Checks that every MLIR example of the docs stands in a file that a test parses.

    check_examples.py DOC... -- PARSED...

Prints the examples that no PARSED file holds, and how many examples there are. White space does not count.
"""

import re
import sys


def squeeze(text):
    return " ".join(text.split())


def main(arguments):
    split = arguments.index("--")
    parsed = squeeze(" ".join(open(name).read() for name in arguments[split + 1 :]))
    missing = count = 0
    for name in arguments[:split]:
        for example in re.findall(r"^```mlir\n(.*?)^```", open(name).read(), re.M | re.S):
            count += 1
            if squeeze(example) not in parsed:
                missing += 1
                print(f"{name}: not parsed by any test:\n{example}")
    print(f"{count} examples, {missing} not parsed")
    return missing != 0 or count == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
