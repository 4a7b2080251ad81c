//! Maven: `ComparableVersion` of Maven 3.8. Every text is a version to it.

use std::cmp::Ordering;

use super::digits;

/// Longest version that is compared, in bytes: each hyphen and each change
/// between letters and digits nests one list deeper.
const VERSION_BYTES_MAX: usize = 1024;

/// Compares as `ComparableVersion.compareTo` does.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    if a.len().max(b.len()) > VERSION_BYTES_MAX {
        return None;
    }
    Some(compare_lists(&parse(a), &parse(b)))
}

/// Qualifiers that Maven knows, in ascending order; others follow them all.
const QUALIFIERS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];
const RELEASE: usize = 5;

#[derive(Debug)]
enum Item {
    Number(String),
    /// Rank among the known qualifiers, and the word of an unknown one.
    Word(usize, String),
    /// What follows a hyphen or a change between letters and digits; always
    /// the last item of its list.
    List(Vec<Item>),
}

impl Item {
    fn word(text: &str, before_digit: bool) -> Self {
        let text = match text {
            "a" if before_digit => "alpha",
            "b" if before_digit => "beta",
            "m" if before_digit => "milestone",
            "ga" | "final" | "release" => "",
            "cr" => "rc",
            other => other,
        };
        match QUALIFIERS.iter().position(|known| *known == text) {
            Some(rank) => Self::Word(rank, String::new()),
            None => Self::Word(QUALIFIERS.len(), text.to_owned()),
        }
    }

    /// Whether it says nothing at the end of a list.
    fn is_null(&self) -> bool {
        self.cmp_to_nothing() == Ordering::Equal
            && !matches!(self, Self::List(items) if !items.is_empty())
    }

    fn cmp_to_nothing(&self) -> Ordering {
        match self {
            Self::Number(number) => digits::compare(number.as_bytes(), b""),
            Self::Word(rank, _) => rank.cmp(&RELEASE),
            Self::List(items) => items
                .iter()
                .map(Self::cmp_to_nothing)
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal),
        }
    }

    fn cmp_to(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => digits::compare(a.as_bytes(), b.as_bytes()),
            (Self::Word(rank_a, a), Self::Word(rank_b, b)) => (rank_a, a).cmp(&(rank_b, b)),
            (Self::List(a), Self::List(b)) => compare_lists(a, b),
            // 1.1 > 1-1 > 1-sp.
            (a, b) => a.kind().cmp(&b.kind()),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Word(..) => 0,
            Self::List(_) => 1,
            Self::Number(_) => 2,
        }
    }
}

/// Item by item; a missing one counts as nothing.
fn compare_lists(a: &[Item], b: &[Item]) -> Ordering {
    for index in 0..a.len().max(b.len()) {
        let order = match (a.get(index), b.get(index)) {
            (Some(a), Some(b)) => a.cmp_to(b),
            (Some(a), None) => a.cmp_to_nothing(),
            (None, Some(b)) => b.cmp_to_nothing().reverse(),
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn parse(text: &str) -> Vec<Item> {
    let text = text.to_lowercase();
    // Lists from the outermost to the innermost, each the end of the one before.
    let mut lists: Vec<Vec<Item>> = vec![Vec::new()];
    let mut start = 0;
    let mut in_number = false;
    for (at, c) in text.char_indices() {
        let part = &text[start..at];
        match c {
            '.' | '-' => {
                push(
                    &mut lists,
                    match part {
                        "" => Item::Number(String::new()),
                        part if in_number => Item::Number(part.to_owned()),
                        part => Item::word(part, false),
                    },
                );
                start = at + 1;
                if c == '-' {
                    lists.push(Vec::new());
                }
            }
            '0'..='9' => {
                if !in_number && !part.is_empty() {
                    nest(&mut lists);
                    push(&mut lists, Item::word(part, true));
                    lists.push(Vec::new());
                    start = at;
                }
                in_number = true;
            }
            _ => {
                if in_number && !part.is_empty() {
                    push(&mut lists, Item::Number(part.to_owned()));
                    lists.push(Vec::new());
                    start = at;
                }
                in_number = false;
            }
        }
    }
    match &text[start..] {
        "" => {}
        part if in_number => push(&mut lists, Item::Number(part.to_owned())),
        part => {
            nest(&mut lists);
            push(&mut lists, Item::word(part, false));
        }
    }
    lists
        .into_iter()
        .rev()
        .fold(None, |inner: Option<Vec<Item>>, mut list| {
            list.extend(inner.map(Item::List));
            normalise(&mut list);
            Some(list)
        })
        .unwrap_or_default()
}

fn push(lists: &mut [Vec<Item>], item: Item) {
    if let Some(list) = lists.last_mut() {
        list.push(item);
    }
}

/// A word behind something begins a list of its own: 1.x is 1-x.
fn nest(lists: &mut Vec<Vec<Item>>) {
    if lists.last().is_some_and(|list| !list.is_empty()) {
        lists.push(Vec::new());
    }
}

/// Takes away what says nothing at the end, and before a list at the end.
fn normalise(list: &mut Vec<Item>) {
    for index in (0..list.len()).rev() {
        if list[index].is_null() {
            list.remove(index);
        } else if !matches!(list[index], Item::List(_)) {
            break;
        }
    }
}
