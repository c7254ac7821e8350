"""A file's licence: what its head says, or the nearest LICENSE file; unknown rather than guessed."""

import pytest

from chaku.corpus.cleaning.licences import licence_near, licence_tag, name_licence

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy of this software"
BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted provided that"


def test_tag():
    assert licence_tag("// SPDX-License-Identifier: MIT OR Apache-2.0\nint x;\n") == "MIT OR Apache-2.0"
    assert licence_tag("int x;\n" * 1000 + "// SPDX-License-Identifier: MIT\n") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MIT, "MIT"),
        ("Apache License\n        Version 2.0, January 2004\n", "Apache-2.0"),
        (f"{BSD}\n * Neither the name of the author nor ...", "BSD-3-Clause"),
        (BSD, "BSD-2-Clause"),
        (
            "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007 ... GNU Affero General Public License, version 3",
            "GPL-3.0",
        ),
        ("GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999", "LGPL-2.1"),
        (f"Mozilla Public License Version 2.0\n and, of a part of it:\n{MIT}", "MPL-2.0"),
        ("All rights reserved.", None),
    ],
)
def test_known_texts(text, name):
    assert name_licence(text) == name


def test_the_nearest_file_decides(tmp_path):
    def put(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        return (tmp_path / path).parent

    put("LICENSE", MIT)
    assert licence_near(put("src/deep/a.py", ""), tmp_path) == "MIT"
    assert licence_near(put("vendor/COPYING.md", BSD), tmp_path) == "BSD-2-Clause"
    assert licence_near(put("own/LICENSE.txt", "Ask us."), tmp_path) is None  # a licence that is not known stays so
    put("both/LICENSE-MIT", MIT)
    assert licence_near(put("both/LICENSE-APACHE", "Apache License, Version 2.0"), tmp_path) is None
    put("lib/site-packages/LICENSE", MIT)  # of some package
    assert licence_near(put("lib/site-packages/other/a.py", ""), tmp_path) is None
    assert licence_near(put("code/license.py", MIT), tmp_path / "code") is None
