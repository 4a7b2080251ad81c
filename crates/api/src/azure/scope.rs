//! Paths of ARM: what a request is about, whatever its case of letters.

use percent_encoding::percent_decode_str;

/// Longest path that is read, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// Where a question is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// A subscription.
    Subscription(String),
    /// A resource group of a subscription.
    ResourceGroup(String, String),
    /// A registry of a resource group.
    Registry(String, String, String),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// All subscriptions.
    Subscriptions,
    /// The scope itself.
    Itself(Scope),
    /// Resource groups of a subscription.
    ResourceGroups(String),
    /// Resources of a subscription or group.
    Resources(Scope),
    /// Registries of a subscription or group.
    Registries(Scope),
    /// Sub-assessments: of one assessment, or of all.
    SubAssessments(Scope, Option<String>),
    /// POST here imports an image.
    ImportImage(Scope),
    /// How a long-running operation stands.
    OperationStatus(Scope, String),
    /// What came of it.
    OperationResult(Scope, String),
    /// One sub-assessment of an assessment.
    SubAssessment(Scope, String, String),
}

/// Reads a path. `None`: nothing of ours.
pub(super) fn parse(path: &str) -> Option<Target> {
    if path.len() > PATH_BYTES_MAX {
        return None;
    }
    let decode =
        |part: &str| percent_decode_str(part).decode_utf8().ok().map(|text| text.into_owned());
    let parts: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).map(decode).collect::<Option<_>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (first, rest) = parts.split_first()?;
    if !is(first, "subscriptions") {
        return None;
    }
    let Some((subscription, rest)) = rest.split_first() else {
        return Some(Target::Subscriptions);
    };
    let subscription = (*subscription).to_owned();
    let (scope, rest) = match rest {
        [groups] if is(groups, "resourceGroups") => {
            return Some(Target::ResourceGroups(subscription));
        }
        [groups, group, rest @ ..] if is(groups, "resourceGroups") => {
            (Scope::ResourceGroup(subscription, (*group).to_owned()), rest)
        }
        rest => (Scope::Subscription(subscription), rest),
    };
    match rest {
        [] => Some(Target::Itself(scope)),
        [resources] if is(resources, "resources") => Some(Target::Resources(scope)),
        [providers, provider, registries]
            if is(providers, "providers") && is_registries(provider, registries) =>
        {
            Some(Target::Registries(scope))
        }
        [providers, provider, registries, name, rest @ ..]
            if is(providers, "providers") && is_registries(provider, registries) =>
        {
            let Scope::ResourceGroup(subscription, group) = scope else { return None };
            let scope = Scope::Registry(subscription, group, (*name).to_owned());
            match rest {
                [] => Some(Target::Itself(scope)),
                [action] if is(action, "importImage") => Some(Target::ImportImage(scope)),
                [kind, id] if is(kind, "operationStatuses") => {
                    Some(Target::OperationStatus(scope, (*id).to_owned()))
                }
                [kind, id] if is(kind, "operationResults") => {
                    Some(Target::OperationResult(scope, (*id).to_owned()))
                }
                rest => security(scope, rest),
            }
        }
        rest => security(scope, rest),
    }
}

fn security(scope: Scope, rest: &[&str]) -> Option<Target> {
    let [providers, provider, rest @ ..] = rest else { return None };
    if !is(providers, "providers") || !is(provider, "Microsoft.Security") {
        return None;
    }
    match rest {
        [subs] if is(subs, "subAssessments") => Some(Target::SubAssessments(scope, None)),
        [assessments, key, subs]
            if is(assessments, "assessments") && is(subs, "subAssessments") =>
        {
            Some(Target::SubAssessments(scope, Some((*key).to_owned())))
        }
        [assessments, key, subs, name]
            if is(assessments, "assessments") && is(subs, "subAssessments") =>
        {
            Some(Target::SubAssessment(scope, (*key).to_owned(), (*name).to_owned()))
        }
        _ => None,
    }
}

fn is(part: &str, word: &str) -> bool {
    part.eq_ignore_ascii_case(word)
}

fn is_registries(provider: &str, registries: &str) -> bool {
    is(provider, "Microsoft.ContainerRegistry") && is(registries, "registries")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<Target>) {
        assert_eq!(parse(path), expected, "{path}");
    }

    #[test]
    fn case_and_double_slashes_do_not_matter() {
        let group = Scope::ResourceGroup("s".into(), "g".into());
        let registry = Scope::Registry("s".into(), "g".into(), "main".into());
        check("/subscriptions", Some(Target::Subscriptions));
        check("//Subscriptions/s/", Some(Target::Itself(Scope::Subscription("s".into()))));
        check("/subscriptions/s/resourcegroups/g", Some(Target::Itself(group.clone())));
        check(
            "/subscriptions/s/RESOURCES",
            Some(Target::Resources(Scope::Subscription("s".into()))),
        );
        check(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Security/subassessments",
            Some(Target::SubAssessments(group, None)),
        );
        check(
            "//subscriptions/s/resourceGroups/g/providers/microsoft.containerregistry/registries/main/providers/Microsoft.Security/assessments/k/subAssessments/n",
            Some(Target::SubAssessment(registry, "k".into(), "n".into())),
        );
        check("/subscriptions/s/providers/Microsoft.Compute/x", None);
        check("/subscriptions/s/providers/Microsoft.ContainerRegistry/registries/main", None);
        check("/v2/", None);
        check("/subscriptions/%ff", None);
    }
}
