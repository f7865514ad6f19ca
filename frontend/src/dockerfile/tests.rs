//! The reader on small Dockerfiles, and what holds for all of them.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::instruction::{Body, Comment, Dockerfile, Flag, Heredoc, Instruction, Item, Keyword};
use super::{SyntaxError, expand, mount, parse};

fn read(source: &str) -> Dockerfile {
    parse(source.as_bytes()).unwrap_or_else(|error| panic!("{error}: {:.200}", source))
}

fn refused(source: impl AsRef<[u8]>) -> SyntaxError {
    let source = source.as_ref();
    parse(source).map(|_| ()).expect_err(&format!("{:.200}", String::from_utf8_lossy(source)))
}

/// The instructions behind a FROM.
fn behind_from(source: &str) -> Vec<Instruction> {
    read(&format!("FROM scratch\n{source}")).instructions().skip(1).cloned().collect()
}

fn body(source: &str) -> Body {
    behind_from(source).remove(0).body
}

/// A RUN's text and the names of its heredocs.
fn run(source: &str) -> (String, Vec<String>) {
    match body(source) {
        Body::Run(command) => {
            (command.text, command.heredocs.into_iter().map(|heredoc| heredoc.name).collect())
        }
        other => panic!("no RUN: {other:?}"),
    }
}

#[test]
fn an_instruction_knows_its_bytes_and_lines() {
    let source = "# comment\n\nfrom scratch\n  run a \\\n# between\n\n  b\nUSER c";
    let dockerfile = read(source);
    let instructions: Vec<_> = dockerfile.instructions().collect();
    assert_eq!(&source[instructions[1].span.clone()], "  run a \\\n# between\n\n  b\n");
    assert_eq!(instructions[1].lines, 4..=7);
    assert_eq!(instructions[1].keyword, Keyword::Run);
    assert_eq!(instructions[2].lines, 8..=8);
    assert_eq!(dockerfile.items.len(), 5);
}

#[test]
fn directives_end_at_the_first_line_that_is_none() {
    let dockerfile =
        read("#SYNTAX = a b \n#\tescape=`\n# check=skip=all\n# other=1\n# escape=\\\nFROM a `\n AS b\n");
    assert_eq!(dockerfile.escape, '`');
    let values: Vec<(&str, &str)> = dockerfile
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Directive(directive) => Some((&directive.name[..], &directive.value[..])),
            _ => None,
        })
        .collect();
    assert_eq!(values, [("syntax", "a b"), ("escape", "`"), ("check", "skip=all")]);
}

#[test]
fn comments_belong_to_the_next_instruction() {
    let dockerfile = read("# escape=\\\n# one\n#\n# two\n\n  # three\nFROM a\n# four\nUSER b\nUSER c\n");
    let texts =
        |instruction| dockerfile.comments(instruction).map(|Comment { text, .. }| &text[..]).collect();
    let texts: Vec<Vec<&str>> = dockerfile.instructions().map(texts).collect();
    assert_eq!(texts, [vec!["two", "# three"], vec!["four"], vec![]]);
}

#[test]
fn a_mark_and_carriage_returns_are_no_part_of_anything() {
    let dockerfile = read("\u{feff}FROM a\r\nRUN <<EOF\r\nx\r\nEOF\r\nUSER b\r\n");
    assert_eq!(dockerfile.items[0], Item::Blank(0..3));
    let instructions: Vec<_> = dockerfile.instructions().collect();
    assert_eq!(instructions[0].body, Body::From { base: "a".into(), name: None });
    assert_eq!(instructions[1].lines, 2..=4);
    assert_eq!(instructions[2].keyword, Keyword::User);
}

#[test]
fn a_line_ends_in_one_escape_character_to_go_on() {
    assert_eq!(run("RUN a \\ \t\n b\\\\\nUSER c").0, "a  b\\\\");
    assert_eq!(run("RUN a\\\n\\\nb").0, "ab");
    assert_eq!(run("\\\nRUN a").0, "a");
    assert_eq!(run("RUN a\\").0, "a");
}

#[test]
fn heredocs_stand_anywhere_in_a_run() {
    assert_eq!(run("RUN cat <<A 3<<-\"B\" | x << C\n1\nA\n2\n\tB\n3\nC\n").1, ["A", "B", "C"]);
    // No heredoc: a shell string, behind a word, in a quote, in JSON, where quotes do not match.
    for none in ["a <<<b", "a<<b", "'<<b'", "[\"<<b\"]", "don't <<b", "<<", "${"] {
        assert_eq!(run(&format!("RUN {none}\n")).1, [""; 0], "{none}");
    }
    // What is nested empties the word before it, as upstream.
    assert_eq!(run("RUN <<A\"${b:-}\"\n").1, [""; 0]);
}

#[test]
fn a_heredoc_has_its_lines_and_quotes() {
    let source = "FROM a\nCOPY <<-'A' <<b /x/\n\tone\n\tA\ntwo\nb\n";
    let Body::Copy { sources, destination, heredocs } =
        read(source).instructions().nth(1).unwrap().body.clone()
    else {
        panic!()
    };
    assert_eq!((sources, &destination[..]), (vec!["A".to_owned(), "b".to_owned()], "/x/"));
    let [
        Heredoc { expand: false, chomp: true, content: a, .. },
        Heredoc { expand: true, chomp: false, content: b, .. },
    ] = &heredocs[..]
    else {
        panic!("{heredocs:?}")
    };
    assert_eq!((&source[a.clone()], &source[b.clone()]), ("\tone\n", "two\n"));
}

#[test]
fn flags_know_their_bytes() {
    let source = "FROM scratch\nRUN --mount=\"type=cache,\\\ntarget=/a b\" \\\n  --network=no\\\nne -- --x\n";
    let dockerfile = read(source);
    let run = dockerfile.instructions().nth(1).unwrap();
    let shown: Vec<_> = run
        .flags
        .iter()
        .map(|Flag { name, value, span, line }| {
            (&name[..], value.as_deref().unwrap(), &source[span.clone()], *line)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("mount", "type=cache,target=/a b", "--mount=\"type=cache,\\\ntarget=/a b\"", 2),
            ("network", "none", "--network=no\\\nne", 4),
        ]
    );
    assert!(matches!(&run.body, Body::Run(command) if command.text == "--x"));
}

#[test]
fn flags_are_read_as_latin_1() {
    let copy = behind_from("COPY --chown=é a b").remove(0);
    assert_eq!(copy.flags[0].value.as_deref(), Some("Ã©"));
    // The second byte of this one is white space in Latin-1.
    let copy = behind_from("COPY --chown=à b c").remove(0);
    assert_eq!(copy.flags[0].value.as_deref(), Some("Ã"));
    assert!(matches!(copy.body, Body::Copy { .. }));
}

#[test]
fn words_keep_their_quotes() {
    let pairs = [("a", "\"1 2\""), ("b", "3\\ 4"), ("c", "'\\'")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(body("ENV a=\"1 2\" b=3\\ 4   c='\\'"), Body::Env(pairs.to_vec()));
    assert_eq!(body("ENV a b  c "), Body::Env(vec![("a".into(), "b  c".into())]));
    let args =
        vec![("a".into(), None), ("b".into(), Some(String::new())), ("c".into(), Some("'d e'".into()))];
    assert_eq!(body("ARG a b= c='d e'"), Body::Arg(args));
}

#[test]
fn json_is_what_go_takes_for_it() {
    let is_json = |text: &str| matches!(body(&format!("RUN {text}")), Body::Run(command) if command.is_json);
    for json in ["[]", "[ \"a\" , \"\\u00e9\\ud83d\\ude00\\ud800\" ]", "[\"a\\/b\"]"] {
        assert!(is_json(json), "{json}");
    }
    for shell in
        ["[", "[a]", "['a']", "[\"a\",]", "[\"a\"] b", "[\"\\x\"]", "[01]", "[1e999]", "[\"a\" \"b\"]", "{}"]
    {
        assert!(!is_json(shell), "{shell}");
    }
    for mixed in ["[1]", "[\"a\", null]", "[[\"a\"], {\"a\": [-1.5e3, true]}]", "[[], {}]"] {
        assert!(parse(format!("FROM a\nRUN {mixed}").as_bytes()).is_err(), "{mixed}");
    }
}

#[test]
fn only_the_form_of_what_is_in_an_onbuild_matters() {
    let Body::Onbuild(inner) = body("ONBUILD RUN --mount=type=cache,target=/a <<E\nx\nE\n") else { panic!() };
    assert_eq!((inner.flags.len(), inner.lines), (1, 2..=4));
    assert!(matches!(&inner.body, Body::Run(command) if command.heredocs.len() == 1));
    for lax in ["COPY a", "RUN --no=such x", "FOO", "ENV =a", "HEALTHCHECK x"] {
        assert!(parse(format!("FROM a\nONBUILD {lax}").as_bytes()).is_ok(), "{lax}");
    }
    for strict in ["", "FROM a", "onbuild RUN a", "MAINTAINER a", "ENV a", "RUN [1]", "--a RUN b"] {
        assert!(parse(format!("FROM a\nONBUILD {strict}").as_bytes()).is_err(), "{strict}");
    }
}

#[test]
fn some_letters_are_ascii_in_the_other_case() {
    // The Kelvin sign and the long s, as Go maps them.
    assert_eq!(behind_from("WOR\u{212a}DIR /a")[0].keyword, Keyword::Workdir);
    assert!(parse("FROM a a\u{17f} b".as_bytes()).is_ok());
}

#[test]
fn errors_name_the_place_and_the_way_out() {
    let cases = [
        "",
        "# only a comment\n",
        "FROM a\nFOO bar\n",
        "FROM a\nRUN x \\\n  y\n  && z\n",
        "RUN a\n",
        "FROM\n",
        "FROM a b\n",
        "FROM a AS 1b\n",
        "FROM --platfrom=x a\n",
        "FROM a\nCOPY \\\n  --from a b\n",
        "FROM a\nCOPY --link=maybe a b\n",
        "FROM a\nCOPY --link --link a b\n",
        "FROM a\nUSER --x a\n",
        "FROM a\nADD a\n",
        "FROM a\nCOPY a <<EOF\nEOF\n",
        "FROM a\nRUN cat <<EOF\nx\n",
        "FROM a\nENV a\n",
        "FROM a\nLABEL a=b c\n",
        "FROM a\nARG =a\n",
        "FROM a\nRUN [\"a\", 1]\n",
        "FROM a\nSHELL bash -c\n",
        "FROM a\nVOLUME [\"\"]\n",
        "FROM a\nHEALTHCHECK --interval=1 CMD a\n",
        "FROM a\nHEALTHCHECK --interval=1us CMD a\n",
        "FROM a\nHEALTHCHECK MAYBE\n",
        "FROM a\nHEALTHCHECK NONE a\n",
        "FROM a\nRUN --mount=type=cache,from=$a,target=/b x\n",
        "FROM a\nRUN --mount=type=cache,\\\"a x\n",
        "FROM a\nRUN --network=some x\n",
        "FROM a\nONBUILD ONBUILD RUN x\n",
        "# escape=/\n",
        "# check=a\n# check=b\n",
        "FROM a\n\u{1b}[31mRUN x\n",
        "FROM a\n  é\\\n ü --x b\0\n",
        "FROM a\n\\",
    ];
    let shown: Vec<String> = cases
        .iter()
        .map(|case| {
            let error = refused(case);
            let help = error.help.as_ref().map_or(String::new(), |help| format!("\n  help: {help}"));
            format!("{case:?}\n{error}{help}\n")
        })
        .collect();
    assert_snapshot!(shown.join("\n"));
}

#[test]
fn what_is_no_text_is_refused_where_it_stands() {
    let error = refused(b"FROM a\nRUN \xc3\xa4\xff");
    assert_eq!((error.line, error.column), (2, 6));
    let error = refused(b"\xef\xbb\xbfFROM a\0");
    assert_eq!((error.line, error.column), (1, 7));
}

#[test]
fn a_line_may_be_as_long_as_upstream_lets_it_be() {
    let line = |length: usize| format!("FROM a\n#{}", "x".repeat(length - 1));
    assert!(parse(line(65_535).as_bytes()).is_ok());
    assert!(parse(format!("{}\n", line(65_535)).as_bytes()).is_ok());
    assert_eq!(refused(line(65_536)).line, 2);
}

#[test]
fn length_costs_no_more_than_its_share() {
    let continued = format!("FROM a\nRUN x{}\n", " \\\n --mount=type=cache,target=/a \\".repeat(100_000));
    assert_eq!(read(&continued).items.len(), 2);
    let flags = format!("FROM a\nRUN{} x\n", " --mount=type=cache,target=/a \\\n".repeat(100_000));
    assert_eq!(read(&flags).instructions().nth(1).unwrap().flags.len(), 100_000);
    let heredocs = format!("FROM a\nRUN \\\n{}x\n{}", "<<A \\\n".repeat(10_000), "A\n".repeat(10_000));
    assert_eq!(run_heredocs(&heredocs), 10_000);
    refused(format!("FROM a\nRUN {}", "<<A \\\n".repeat(100_000)));
    refused(format!("FROM a\n{}RUN x", "ONBUILD \\\n".repeat(100_000)));
    read(&format!("FROM a\nRUN <<A {}\nA\n", "${a:-\\\n".repeat(100_000)));
    read(&format!("FROM a\nRUN {}\n", "[\\\n".repeat(100_000)));
}

fn run_heredocs(source: &str) -> usize {
    match &read(source).instructions().nth(1).unwrap().body {
        Body::Run(command) => command.heredocs.len(),
        other => panic!("no RUN: {other:?}"),
    }
}

/// Each item begins where the one before it ends, and what lies in it does.
fn assert_tiles(source: &[u8], dockerfile: &Dockerfile) {
    let mut at = 0;
    for item in &dockerfile.items {
        let span = match item {
            Item::Directive(directive) => &directive.span,
            Item::Comment(comment) => &comment.span,
            Item::Blank(span) => span,
            Item::Instruction(instruction) => {
                for flag in &instruction.flags {
                    let text = &source[flag.span.clone()];
                    assert!(text.starts_with(b"-"), "{:?}", String::from_utf8_lossy(text));
                    assert!(flag.span.start >= at && flag.span.end <= instruction.span.end);
                    assert!(instruction.lines.contains(&flag.line));
                }
                &instruction.span
            }
        };
        assert_eq!(span.start, at);
        assert!(span.end > at);
        at = span.end;
    }
    assert_eq!(at, source.len());
}

/// Text that looks like a Dockerfile often enough to be read to its end.
fn dockerfile_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "FROM ",
        "scratch",
        " AS b",
        "ARG ",
        "ENV ",
        "a=b",
        " a b ",
        "RUN ",
        "COPY ",
        "ADD ",
        "ONBUILD ",
        "SHELL ",
        "[\"a\"]",
        "[",
        "\"",
        "'",
        "\\",
        "`",
        "\\\n",
        "\\\r\n",
        "\n",
        "\n\n",
        "\t",
        " ",
        "#",
        "# escape=`\n",
        "# c\n",
        "<<EOF",
        "<<-'E'",
        "<< E",
        "\nEOF\n",
        "\nE\n",
        "--mount=type=cache,target=/a ",
        "--from=b ",
        "--",
        "é",
        "à",
        "\u{feff}",
        "\u{a0}",
        "$",
        "${",
        "}",
        "$a",
        "${a:-b}",
        "HEALTHCHECK ",
        "CMD ",
        "NONE",
        "LABEL ",
        "<",
        "=",
    ]);
    let text = prop::collection::vec(word, 0..40).prop_map(|words| words.concat());
    (any::<bool>(), text).prop_map(|(is_read, text)| if is_read { format!("FROM a\n{text}") } else { text })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn items_tile_any_bytes(source in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(dockerfile) = parse(&source) {
            assert_tiles(&source, &dockerfile);
        }
    }

    #[test]
    fn items_tile_what_looks_like_a_dockerfile(source in dockerfile_like()) {
        match parse(source.as_bytes()) {
            Ok(dockerfile) => assert_tiles(source.as_bytes(), &dockerfile),
            Err(error) => {
                let lines = source.matches('\n').count() + 1;
                prop_assert!(error.line >= 1 && error.line as usize <= lines);
                let line = source.split('\n').nth(error.line as usize - 1).unwrap();
                prop_assert!(error.column as usize <= line.chars().count() + 1, "{}", error);
            }
        }
    }

    #[test]
    fn expansion_ends(word in r#"[$a{}:#%/*?\\'"<b \n+-]{0,40}"#, value in ".{0,10}") {
        let _ = expand::expand(&word, '\\', &|name| (name == "a").then(|| value.clone()));
        let _ = expand::expand(&word, '`', &|_| None);
    }

    #[test]
    fn a_word_without_signs_stays(word in "[a-zé /.=:-]{0,40}") {
        prop_assert_eq!(expand::expand(&word, '\\', &|_| None).unwrap().value, word);
    }

    #[test]
    fn mounts_are_read_or_refused(value in r#"(type|from|id|sharing|ro|target|size|mode|=|,|cache|/a|"|\$b|7){0,12}"#) {
        let _ = mount::parse(&value, None);
        let _ = mount::parse(&value, Some(&mut |value: &str| Ok(value.to_owned())));
    }
}
