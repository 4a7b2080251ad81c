//! The one subscription, its one resource group and its one registry.

use access::RoleScope;
use serde_json::{Value, json};
use store::StoreError;
use store::scan::ScanStore;
use uuid::Uuid;

use super::AzureState;
use super::error::ArmError;
use super::scope::Scope;

/// Name of the fact that holds the subscription's GUID.
const SUBSCRIPTION_FACT: &str = "subscription_id";
/// What the subscription is called.
const SUBSCRIPTION_NAME: &str = "default";
/// The one resource group.
pub(super) const RESOURCE_GROUP: &str = "default";
/// Azure says where a thing is; ours is where its owner put it.
const LOCATION: &str = "local";

/// The GUID of the subscription `default`: made on the first start, then kept.
pub async fn subscription_id(scans: &dyn ScanStore) -> Result<Uuid, StoreError> {
    let fresh = Uuid::new_v4().to_string();
    let text = scans.ensure_scan_fact(SUBSCRIPTION_FACT, &fresh).await?;
    Uuid::try_parse(&text).map_err(|error| StoreError::corrupt("subscription", error))
}

/// A registry's id, spelled as published queries want it.
pub fn registry_id(subscription: Uuid, name: &str) -> String {
    format!(
        "/subscriptions/{subscription}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.ContainerRegistry/registries/{name}"
    )
}

/// The registry as a scope of roles.
pub fn registry_scope(subscription: Uuid, registry: &str) -> RoleScope {
    RoleScope::registry(&subscription.to_string(), RESOURCE_GROUP, registry)
}

impl AzureState {
    /// The one registry's id.
    pub(super) fn registry_id(&self) -> String {
        registry_id(self.subscription, &self.registry_name)
    }

    /// Refuses a scope that is not ours.
    pub(super) fn check_scope(&self, scope: &Scope) -> Result<(), ArmError> {
        let (Scope::Subscription(subscription)
        | Scope::ResourceGroup(subscription, _)
        | Scope::Registry(subscription, ..)) = scope;
        self.check_subscription(subscription)?;
        if let Scope::ResourceGroup(_, group) | Scope::Registry(_, group, _) = scope
            && !group.eq_ignore_ascii_case(RESOURCE_GROUP)
        {
            let message = format!(
                "Resource group '{group}' could not be found. There is one: '{RESOURCE_GROUP}'."
            );
            return Err(ArmError::not_found("ResourceGroupNotFound", message));
        }
        if let Scope::Registry(_, _, name) = scope
            && !name.eq_ignore_ascii_case(&self.registry_name)
        {
            let message = format!(
                "The registry '{name}' was not found. There is one: '{}'.",
                self.registry_name
            );
            return Err(ArmError::not_found("ResourceNotFound", message));
        }
        Ok(())
    }

    pub(super) fn check_subscription(&self, id: &str) -> Result<(), ArmError> {
        if Uuid::try_parse(id) == Ok(self.subscription) {
            return Ok(());
        }
        let message = format!(
            "The subscription '{id}' could not be found. GET /subscriptions lists those there are."
        );
        Err(ArmError::not_found("SubscriptionNotFound", message))
    }

    pub(super) fn subscription(&self) -> Value {
        json!({
            "id": format!("/subscriptions/{}", self.subscription),
            "subscriptionId": self.subscription,
            "tenantId": self.subscription,
            "displayName": SUBSCRIPTION_NAME,
            "state": "Enabled",
        })
    }

    pub(super) fn resource_group(&self) -> Value {
        json!({
            "id": format!("/subscriptions/{}/resourceGroups/{RESOURCE_GROUP}", self.subscription),
            "name": RESOURCE_GROUP,
            "type": "Microsoft.Resources/resourceGroups",
            "location": LOCATION,
            "properties": { "provisioningState": "Succeeded" },
        })
    }

    pub(super) fn registry(&self, host: &str) -> Value {
        json!({
            "id": self.registry_id(),
            "name": &*self.registry_name,
            "type": "Microsoft.ContainerRegistry/registries",
            "location": LOCATION,
            "properties": { "loginServer": host, "provisioningState": "Succeeded" },
        })
    }
}
