//! The reader on small Dockerfiles, and what holds for all of them.

use std::borrow::Cow;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::instruction::{
    Body, DirectiveName, Dockerfile, Flag, Heredoc, Instruction, Keyword, NewStage, Span,
};
use super::{SyntaxError, expand, mount, parse, syntax_line};

fn read(source: &str) -> Dockerfile<'_> {
    parse(source.as_bytes()).unwrap_or_else(|error| panic!("{error}: {:.200}", source))
}

fn refused(source: impl AsRef<[u8]>) -> SyntaxError {
    let source = source.as_ref();
    parse(source).map(|_| ()).expect_err(&format!("{:.200}", String::from_utf8_lossy(source)))
}

/// The first instruction behind a FROM. It outlives the test's text, as a test may.
fn behind_from(source: &str) -> Instruction<'static> {
    let source = format!("FROM scratch\n{source}").leak();
    read(source).instructions.swap_remove(1)
}

fn body(source: &str) -> Body<'static> {
    behind_from(source).body
}

fn names(instruction: &Instruction<'_>) -> Vec<String> {
    instruction.heredocs().iter().map(|heredoc| heredoc.name.clone()).collect()
}

/// A RUN's text and the names of its heredocs.
fn run(source: &str) -> (String, Vec<String>) {
    let run = behind_from(source);
    let text = match &run.body {
        Body::Run(text) => text.to_string(),
        Body::Exec(words) => words.join(" "),
        other => panic!("no RUN: {other:?}"),
    };
    (text, names(&run))
}

#[test]
fn an_instruction_knows_its_bytes_and_lines() {
    let source = "# comment\n\nfrom scratch\n  run a \\\n# between\n\n  b\nUSER c";
    let dockerfile = read(source);
    let instructions = &dockerfile.instructions;
    assert_eq!(instructions[1].span.of(source), "  run a \\\n# between\n\n  b\n");
    assert_eq!(instructions[1].keyword, Keyword::Run);
    assert_eq!(instructions.iter().map(|instruction| instruction.line).collect::<Vec<_>>(), [3, 4, 8]);
}

#[test]
fn the_syntax_line_is_found_in_what_cannot_be_read() {
    assert_eq!(syntax_line(b"# escape=`\n#SYNTAX = a/b:1 x=y \r\nNO SUCH \xff"), Some("a/b:1 x=y"));
    for none in [&b""[..], b"FROM x\n# syntax=a", b"\n# syntax=a", b"# other\n# syntax=a", b"\xff# syntax=a"]
    {
        assert_eq!(syntax_line(none), None);
    }
}

#[test]
fn directives_end_at_the_first_line_that_is_none() {
    let dockerfile =
        read("#SYNTAX = a b \n#\tescape=`\n# check=skip=all\n# other=1\n# escape=\\\nFROM a `\n AS b\n");
    assert_eq!(dockerfile.escape, '`');
    let values: Vec<_> =
        dockerfile.directives.iter().map(|directive| (directive.name, directive.value)).collect();
    assert_eq!(
        values,
        [(DirectiveName::Syntax, "a b"), (DirectiveName::Escape, "`"), (DirectiveName::Check, "skip=all")]
    );
}

#[test]
fn comments_belong_to_the_next_instruction() {
    let dockerfile = read("# escape=\\\n# one\n#\n# two\n\n  # three\nFROM a\n# four\nUSER b\nUSER c\n");
    let texts =
        |instruction| dockerfile.comments(instruction).map(|comment| (comment.line, comment.text)).collect();
    let texts: Vec<Vec<(u32, &str)>> = dockerfile.instructions.iter().map(texts).collect();
    assert_eq!(texts, [vec![(4, "two"), (6, "# three")], vec![(8, "four")], vec![]]);
}

#[test]
fn a_mark_and_carriage_returns_are_no_part_of_anything() {
    let dockerfile = read("\u{feff}FROM a\r\nRUN <<EOF\r\nx\r\nEOF\r\nUSER b\r\n");
    let instructions = &dockerfile.instructions;
    assert_eq!(instructions[0].span, Span { start: 3, end: 11 });
    assert_eq!(instructions[0].body, Body::From(Box::new(NewStage { base: "a".into(), name: None })));
    assert_eq!(names(&instructions[1]), ["EOF"]);
    assert_eq!((instructions[2].keyword, instructions[2].line), (Keyword::User, 5));
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
    let copy = read(source).instructions.remove(1);
    assert_eq!(copy.body, Body::Copy(["A", "b", "/x/"].map(Into::into).into()));
    let heredocs = copy.heredocs();
    let [
        Heredoc { expand: false, chomp: true, content: a, .. },
        Heredoc { expand: true, chomp: false, content: b, .. },
    ] = heredocs
    else {
        panic!("{heredocs:?}")
    };
    assert_eq!((a.of(source), b.of(source)), ("\tone\n", "two\n"));
}

#[test]
fn flags_know_their_bytes() {
    let source = "FROM scratch\nRUN --mount=\"type=cache,\\\ntarget=/a b\" \\\n  --network=no\\\nne -- --x\n";
    let dockerfile = read(source);
    let run = &dockerfile.instructions[1];
    let shown: Vec<_> = run
        .flags()
        .iter()
        .map(|Flag { name, value, span, line }| {
            (&name[..], value.as_deref().unwrap(), span.of(source), *line)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("mount", "type=cache,target=/a b", "--mount=\"type=cache,\\\ntarget=/a b\"", 2),
            ("network", "none", "--network=no\\\nne", 4),
        ]
    );
    assert_eq!(run.body, Body::Run("--x".into()));
}

#[test]
fn flags_are_read_as_latin_1() {
    let copy = behind_from("COPY --chown=é a b");
    assert_eq!(copy.flags()[0].value.as_deref(), Some("Ã©"));
    // The second byte of this one is white space in Latin-1.
    let copy = behind_from("COPY --chown=à b c");
    assert_eq!(copy.flags()[0].value.as_deref(), Some("Ã"));
    assert!(matches!(copy.body, Body::Copy(_)));
}

#[test]
fn words_keep_their_quotes() {
    let pairs = [("a", "\"1 2\""), ("b", "3\\ 4"), ("c", "'\\'")];
    let pairs = pairs.map(|(name, value)| (name.into(), value.into()));
    assert_eq!(body("ENV a=\"1 2\" b=3\\ 4   c='\\'"), Body::Env(pairs.into()));
    assert_eq!(body("ENV a b  c "), Body::Env([("a".into(), "b  c".into())].into()));
    let args = [("a".into(), None), ("b".into(), Some("".into())), ("c".into(), Some("'d e'".into()))];
    assert_eq!(body("ARG a b= c='d e'"), Body::Arg(args.into()));
}

#[test]
fn json_is_what_go_takes_for_it() {
    let is_json = |text: &str| matches!(body(&format!("RUN {text}")), Body::Exec(_));
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
    assert_eq!((inner.flags().len(), inner.line, inner.span), (1, 2, Span { start: 21, end: 62 }));
    assert_eq!(names(&inner), ["E"]);
    assert!(matches!(inner.body, Body::Run(_)));
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
    assert_eq!(behind_from("WOR\u{212a}DIR /a").keyword, Keyword::Workdir);
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
    assert_eq!(read(&continued).instructions.len(), 2);
    let flags = format!("FROM a\nRUN{} x\n", " --mount=type=cache,target=/a \\\n".repeat(100_000));
    assert_eq!(read(&flags).instructions[1].flags().len(), 100_000);
    let heredocs = format!("FROM a\nRUN \\\n{}x\n{}", "<<A \\\n".repeat(10_000), "A\n".repeat(10_000));
    assert_eq!(read(&heredocs).instructions[1].heredocs().len(), 10_000);
    refused(format!("FROM a\nRUN {}", "<<A \\\n".repeat(100_000)));
    refused(format!("FROM a\n{}RUN x", "ONBUILD \\\n".repeat(100_000)));
    read(&format!("FROM a\nRUN <<A {}\nA\n", "${a:-\\\n".repeat(100_000)));
    read(&format!("FROM a\nRUN {}\n", "[\\\n".repeat(100_000)));
}

#[test]
fn an_instruction_is_small_and_a_comment_costs_nothing() {
    assert_eq!(size_of::<Instruction<'_>>(), 48);
    let comments = format!("FROM a\n{}", "#\n\n".repeat(100_000));
    let dockerfile = read(&comments);
    assert_eq!(dockerfile.instructions.len(), 1);
    assert!(dockerfile.instructions.capacity() * size_of::<Instruction<'_>>() <= comments.len());
}

#[test]
fn what_stands_on_one_line_is_borrowed() {
    let is_own = |text: &Cow<'_, str>| matches!(text, Cow::Borrowed(_));
    let Body::Env(pairs) = body("ENV a=1 \\\n b=2\\\n3 \\\n # none\n c=4") else { panic!() };
    assert_eq!(pairs.iter().map(|(_, value)| &**value).collect::<Vec<_>>(), ["1", "23", "4"]);
    assert_eq!(pairs.iter().map(|(_, value)| is_own(value)).collect::<Vec<_>>(), [true, false, true]);
    let copy = behind_from("COPY \\\n --from=b --chown='1' \\\n a b");
    let values: Vec<_> = copy.flags().iter().filter_map(|flag| flag.value.as_ref()).map(is_own).collect();
    assert_eq!(values, [true, false]);
}

#[test]
fn a_file_may_not_be_larger_than_spans_can_say() {
    let error = refused(vec![0; Span::MAX_SOURCE + 1]);
    assert_snapshot!(error, @"1:1: the file is larger than 256 MiB");
}

/// The directives, then the instructions tile the source, but for comments and blank lines between them.
fn assert_tiles(source: &[u8], dockerfile: &Dockerfile<'_>) {
    let text = std::str::from_utf8(source).unwrap();
    let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
    for directive in &dockerfile.directives {
        assert_eq!(directive.span.start, at);
        assert!(directive.span.of(text).contains(directive.value));
        at = directive.span.end;
    }
    let assert_between = |start, end| {
        for line in (Span { start, end }).of(text).lines() {
            assert!(line.trim().is_empty() || line.trim_start().starts_with('#'), "{line:?}");
        }
    };
    for instruction in &dockerfile.instructions {
        let Span { start, end } = instruction.span;
        assert!(start >= at && end > start && text.len() >= end as usize);
        assert_between(at, start);
        let line = text[..start as usize].matches('\n').count() + 1;
        assert_eq!(instruction.line as usize, line);
        let last = line + instruction.span.of(text).trim_end_matches('\n').matches('\n').count();
        for flag in instruction.flags() {
            let shown = flag.span.of(text);
            assert!(shown.starts_with('-'), "{shown:?}");
            assert!(flag.span.start >= start && flag.span.end <= end);
            assert!((line..=last).contains(&(flag.line as usize)));
        }
        for comment in dockerfile.comments(instruction) {
            let shown = text.lines().nth(comment.line as usize - 1).unwrap_or_default();
            assert!(shown.contains(comment.text) && !comment.text.is_empty());
        }
        at = end;
    }
    assert_between(at, text.len() as u32);
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
    fn instructions_tile_any_bytes(source in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(dockerfile) = parse(&source) {
            assert_tiles(&source, &dockerfile);
        }
    }

    #[test]
    fn instructions_tile_what_looks_like_a_dockerfile(source in dockerfile_like()) {
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
