//! `lazaret admin scope-map`: what repository tokens may do.

use std::process::ExitCode;

use access::SystemScopeMap;
use anyhow::bail;
use serde_json::{Value, json};

use super::operator::{Operator, print, rfc3339};
use crate::cli::{Format, ScopeMapCommand};
use crate::commands::table;
use crate::output::out;
use crate::storage::Storage;

/// What follows a repository on the command line.
const ACTIONS: [&str; 5] =
    ["content/read", "content/write", "content/delete", "metadata/read", "metadata/write"];

pub async fn run(
    storage: &Storage,
    command: ScopeMapCommand,
    format: Option<Format>,
) -> anyhow::Result<ExitCode> {
    let operator = Operator::new(storage).await?;
    let (accounts, permit) = (&operator.accounts, &operator.permit);
    match command {
        ScopeMapCommand::Create { name, repository, description } => {
            let actions = actions(&repository)?;
            let map =
                accounts.put_scope_map(permit, &name, &description, &actions, operator.now).await?;
            print(&json!({ "name": map.name, "actions": map.actions }))?;
        }
        ScopeMapCommand::Delete { name } => accounts.delete_scope_map(permit, &name).await?,
        ScopeMapCommand::List => {
            let system = SystemScopeMap::ALL.into_iter().map(|map| {
                let actions = map.actions.iter().map(|a| (*a).to_owned()).collect();
                (map.name.to_owned(), map.description.to_owned(), actions, "SystemDefined", None)
            });
            let own = accounts.scope_maps(permit, None, u32::MAX).await?;
            let own = own.into_iter().map(|map| {
                let made = Some(rfc3339(map.created_at));
                (map.name, map.description, map.actions, "UserDefined", made)
            });
            let maps: Vec<(_, _, Vec<String>, _, _)> = system.chain(own).collect();
            match Format::or_default(format) {
                Format::Json => {
                    let rows = maps.iter().map(|(name, description, actions, kind, made)| {
                        json!({ "name": name, "description": description, "type": kind,
                            "actions": actions, "creationDate": made })
                    });
                    print(&Value::from_iter(rows))?;
                }
                Format::Table => {
                    let rows = maps.iter().map(|(name, description, actions, ..)| {
                        vec![name.clone(), actions.len().to_string(), description.clone()]
                    });
                    let headings = ["NAME", "ACTIONS", "DESCRIPTION"];
                    out!("{}", table::render(&headings, &rows.collect::<Vec<_>>()))?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Actions of a scope map out of `REPOSITORY ACTION... REPOSITORY ACTION...`.
pub(super) fn actions(words: &[String]) -> anyhow::Result<Vec<String>> {
    let mut repository: Option<&str> = None;
    let mut used = true;
    let mut actions = Vec::new();
    for word in words {
        match repository {
            Some(name) if ACTIONS.contains(&word.as_str()) => {
                actions.push(format!("repositories/{name}/{word}"));
                used = true;
            }
            Some(name) if !used => {
                bail!("{word:?} is nothing to do with {name:?}; there are: {}", ACTIONS.join(", "))
            }
            _ => (repository, used) = (Some(word.as_str()), false),
        }
    }
    match repository {
        Some(name) if !used => bail!("nothing is to be done with {name:?}"),
        _ => Ok(actions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str, expected: Option<&[&str]>) {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        let read = actions(&words).ok();
        let expected = expected.map(|e| e.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        assert_eq!(read, expected, "{words:?}");
    }

    #[test]
    fn repositories_are_followed_by_what_may_be_done() {
        check("a/b content/read", Some(&["repositories/a/b/content/read"]));
        check(
            "a content/read metadata/read b/* content/write",
            Some(&[
                "repositories/a/content/read",
                "repositories/a/metadata/read",
                "repositories/b/*/content/write",
            ]),
        );
        check("a pull", None);
        check("a b content/read", None);
        check("a content/read b", None);
    }
}
