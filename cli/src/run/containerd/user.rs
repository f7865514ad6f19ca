//! Who a process in a container is, from the image's own files (passwd(5), group(5)). Pure.

/// A user, as the kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Further groups.
    pub(super) groups: Vec<u32>,
    /// Where they are at home, where that is known.
    pub(super) home: Option<String>,
}

/// Reads `USER[:GROUP]`, names or numbers; empty is root. A group that is named is the only one.
///
/// # Errors
/// What is not known.
pub(super) fn resolve(asked: &str, passwd: &str, group: &str) -> Result<User, String> {
    let (user, named_group) = match asked.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (asked, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let entry = lines(passwd)
        .find(|fields| fields.first() == Some(&user) || number.is_some() && uid_of(fields) == number);
    let uid =
        entry.as_deref().and_then(uid_of).or(number).ok_or_else(|| format!("there is no user '{user}'"))?;
    let name = entry.as_ref().and_then(|fields| fields.first().copied());
    let own = entry.as_ref().and_then(|fields| fields.get(3)?.parse().ok()).unwrap_or(0);
    let home = entry.as_ref().and_then(|fields| fields.get(5)).map(|home| (*home).to_owned());
    let gid_of = |fields: &[&str]| fields.get(2).and_then(|gid| gid.parse::<u32>().ok());
    let (gid, groups) = match named_group {
        Some(named) => {
            let found = lines(group).find(|fields| fields.first() == Some(&named));
            let gid = found.and_then(|fields| gid_of(&fields)).or(named.parse().ok());
            (gid.ok_or_else(|| format!("there is no group '{named}'"))?, Vec::new())
        }
        None => {
            let has_user = |fields: &Vec<&str>| {
                let members = fields.get(3).into_iter().flat_map(|members| members.split(','));
                name.is_some_and(|name| members.into_iter().any(|member| member == name))
            };
            let mut groups: Vec<u32> = lines(group).filter(has_user).filter_map(|f| gid_of(&f)).collect();
            groups.sort_unstable();
            groups.dedup();
            (own, groups)
        }
    };
    Ok(User { uid, gid, groups, home: home.filter(|home| !home.is_empty()) })
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.trim().split(':').collect())
}

fn uid_of(fields: &[&str]) -> Option<u32> {
    fields.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1001::/home/ada:/bin/sh\n\nbroken:x\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,ada\nada:x:1001:\nbuild:x:20:ada\n";

    fn told(asked: &str) -> String {
        match resolve(asked, PASSWD, GROUP) {
            Ok(User { uid, gid, groups, home }) => {
                format!("{uid} {gid} {groups:?} {}", home.as_deref().unwrap_or("-"))
            }
            Err(why) => why,
        }
    }

    #[test]
    fn users_are_named_or_numbered() {
        insta::assert_snapshot!(
            ["", "root", "ada", "1000", "ada:wheel", "ada:5", "7", "7:8", ":wheel", "bob", "ada:bobs", "broken"]
                .map(|asked| format!("{asked} -> {}", told(asked)))
                .join("\n"),
            @r"
         -> 0 0 [10] /root
        root -> 0 0 [10] /root
        ada -> 1000 1001 [10, 20] /home/ada
        1000 -> 1000 1001 [10, 20] /home/ada
        ada:wheel -> 1000 10 [] /home/ada
        ada:5 -> 1000 5 [] /home/ada
        7 -> 7 0 [] -
        7:8 -> 7 8 [] -
        :wheel -> 0 10 [] /root
        bob -> there is no user 'bob'
        ada:bobs -> there is no group 'bobs'
        broken -> there is no user 'broken'
        "
        );
        assert_eq!(resolve("7", "", "").unwrap(), User { uid: 7, ..User::default() });
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(asked in ".{0,12}", passwd in "[a-z:0-9\n,]{0,60}", group in "[a-z:0-9\n,]{0,60}") {
            if let Ok(user) = resolve(&asked, &passwd, &group) {
                prop_assert!(asked.is_empty() || user.groups.is_sorted());
            }
        }
    }
}
