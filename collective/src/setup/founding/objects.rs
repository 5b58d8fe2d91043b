//! Objects that a new Collective begins with: what it takes for its first administrator to sign in and to add everything else.

use ringwall_protocol::id::{
    ApplianceId, IpPoolId, MfaProviderId, PolicyId, ProfileId, ProviderId, RoleId, SiteId, UserId,
};
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::appliance::{ApplianceState, Interface};
use ringwall_protocol::object::identity_provider::{FactorSettings, ProviderSettings};
use ringwall_protocol::object::ip_pool::IpRange;
use ringwall_protocol::object::profile::DEFAULT_FORMER_KEY_HOURS;
use ringwall_protocol::object::role::{Privilege, PrivilegeScope, PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::{
    AdministrativeRole, Appliance, ClientProfile, EntityBase, IdentityProvider, IpPool, LocalUser, MfaProvider, Object,
    Site,
};
use ringwall_protocol::policy::{Policy, PolicyKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_trust::secret::Random;

use super::{DEFAULT_POOLS, DEFAULT_PROFILE, FoundingOptions, LOCAL_PROVIDER};

/// Ids of the first objects.
pub(super) struct Ids {
    pub(super) appliance: ApplianceId,
    pub(super) admin: UserId,
    provider: ProviderId,
    pools: [IpPoolId; 2],
    role: RoleId,
    policy: PolicyId,
    profile: ProfileId,
    site: SiteId,
    mfa: MfaProviderId,
}

impl Ids {
    pub(super) fn fresh(now: UnixMillis, random: &dyn Random) -> Self {
        let uuid = || -> (u64, [u8; 10]) { (now.0, random.array()) };
        macro_rules! id {
            ($type:ident) => {{
                let (time, bits) = uuid();
                $type::from_time(time, bits)
            }};
        }
        Self {
            appliance: id!(ApplianceId),
            admin: id!(UserId),
            provider: id!(ProviderId),
            pools: [id!(IpPoolId), id!(IpPoolId)],
            role: id!(RoleId),
            policy: id!(PolicyId),
            profile: id!(ProfileId),
            site: id!(SiteId),
            mfa: id!(MfaProviderId),
        }
    }
}

/// Default objects, referred-to ones first.
pub(super) fn objects(options: &FoundingOptions, admin: &UserName, ids: &Ids) -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    for ((name, network), id) in DEFAULT_POOLS.into_iter().zip(ids.pools) {
        let network: ipnet::IpNet = network.parse().expect("a constant prefix");
        objects.push(
            IpPool {
                base: EntityBase::new(id, name),
                ip_version6: network.addr().is_ipv6(),
                ranges: vec![IpRange { cidr: Some(network), first: None, last: None }],
                excluded_ranges: Vec::new(),
                lease_time_days: 30,
            }
            .into(),
        );
    }
    objects.push(provider(ids).into());
    objects.push(
        MfaProvider {
            base: EntityBase::new(ids.mfa, "one-time passwords"),
            settings: FactorSettings::DefaultTimeBased,
        }
        .into(),
    );
    objects.push(local_user(admin, ids).into());
    objects.push(
        Site {
            base: EntityBase::new(ids.site, "default site"),
            description: String::new(),
            network_subnets: Vec::new(),
            entitlement_based_routing: true,
            fallback_site: None,
            vpn: Default::default(),
            name_resolution: Default::default(),
            ip_pool_mappings: Vec::new(),
            lease_seconds: ringwall_protocol::object::site::DEFAULT_LEASE_SECONDS,
            grace_seconds: None,
            witnesses: 1,
        }
        .into(),
    );
    objects.push(appliance(options, ids).into());
    objects.push(role(ids).into());
    objects.push(policy(admin, ids).into());
    objects.push(
        ClientProfile {
            base: EntityBase::new(ids.profile, DEFAULT_PROFILE),
            spa_key_name: String::new(),
            identity_provider: ids.provider,
            hostname: None,
            further_hostnames: Vec::new(),
            enrolment: true,
            key_generation: 0,
            former_key_hours: DEFAULT_FORMER_KEY_HOURS,
        }
        .into(),
    );
    objects
}

fn provider(ids: &Ids) -> IdentityProvider {
    IdentityProvider {
        base: EntityBase::new(ids.provider, LOCAL_PROVIDER),
        settings: ProviderSettings::LocalDatabase,
        ip_pool_v4: Some(ids.pools[0]),
        ip_pool_v6: Some(ids.pools[1]),
        device_limit_per_user: 100,
        on_boarding_2fa: None,
        admin_provider: true,
        user_lockout_threshold: 5,
        user_lockout_duration_minutes: 1,
        min_password_length: 8,
        claim_mappings: Vec::new(),
        claim_scripts: Vec::new(),
        on_demand_claim_mappings: Vec::new(),
        device_takeover: Default::default(),
    }
}

fn local_user(admin: &UserName, ids: &Ids) -> LocalUser {
    LocalUser {
        base: EntityBase::new(ids.admin, admin.as_str()),
        first_name: String::new(),
        last_name: String::new(),
        email: String::new(),
        phone: String::new(),
        disabled: false,
        labels: std::collections::BTreeMap::new(),
    }
}

fn appliance(options: &FoundingOptions, ids: &Ids) -> Appliance {
    let interface = |addresses: &[String]| Interface { addresses: addresses.to_vec(), override_spa_mode: None };
    Appliance {
        base: EntityBase::new(ids.appliance, "controller-1"),
        hostname: options.hostname.rsplit_once(':').map_or(options.hostname.as_str(), |(host, _)| host).to_owned(),
        site: None,
        controller: ringwall_protocol::object::appliance::Role { enabled: true },
        gateway: Default::default(),
        client_interface: interface(&options.advertise.client),
        peer_interface: interface(&options.advertise.peer),
        activated: true,
        state: ApplianceState::Active,
    }
}

fn role(ids: &Ids) -> AdministrativeRole {
    AdministrativeRole {
        base: EntityBase::new(ids.role, "system administration"),
        privileges: vec![Privilege {
            action: PrivilegeType::All,
            target: PrivilegeTarget::All,
            scope: PrivilegeScope::default(),
            default_tags: std::collections::BTreeSet::new(),
        }],
    }
}

/// The first administrator is who has that name at the local provider.
fn policy(admin: &UserName, ids: &Ids) -> Policy {
    let name = serde_json::Value::from(admin.as_str());
    Policy {
        base: EntityBase::new(ids.policy, "system administrators"),
        disabled: false,
        expression: format!("user.username == {name} && user.identityProvider == \"{LOCAL_PROVIDER}\""),
        kind: PolicyKind::Admin,
        entitlements: Vec::new(),
        entitlement_links: Vec::new(),
        override_site: None,
        override_site_claim: None,
        dns_settings: Vec::new(),
        administrative_roles: vec![ids.role],
        stop_message: None,
    }
}
