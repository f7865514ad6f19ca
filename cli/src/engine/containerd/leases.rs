//! Leases: what containerd's garbage collection leaves alone, because somebody is at work with it (`leases.proto`).

use prost::Message;

use super::error::if_there;
use super::types::{Empty, Filters, Labels};
use super::{Containerd, Error, LONG, PATIENCE, with_label};

/// A lease.
#[derive(Clone, PartialEq, Message)]
pub struct Lease {
    /// Its id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its labels.
    #[prost(map = "string, string", tag = "3")]
    pub labels: Labels,
}

/// What a lease is about.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Resource {
    /// Its digest, its key or its reference.
    #[prost(string, tag = "1")]
    pub id: String,
    /// `content`, `ingests`, or `snapshots/` and a snapshotter.
    #[prost(string, tag = "2")]
    pub kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Delete {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bool, tag = "2")]
    sync: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Listed {
    #[prost(message, repeated, tag = "1")]
    leases: Vec<Lease>,
}

#[derive(Clone, PartialEq, Message)]
struct Add {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    resource: Option<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resources {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

/// Whether a deletion waits until what was leased is gone from the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// It waits.
    Now,
    /// containerd does it when it sees fit.
    Later,
}

impl Containerd {
    /// Makes a lease.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn create_lease(&self, id: &str, labels: Labels) -> Result<(), Error> {
        let method = "/containerd.services.leases.v1.Leases/Create";
        // `Create` has the fields of a lease.
        let asked = Lease { id: id.into(), labels };
        self.call::<_, Empty>(method, "make a lease", PATIENCE, asked).await.map(drop)
    }

    /// The leases that have this label.
    ///
    /// # Errors
    /// When containerd does not list them in time.
    pub async fn leases_with(&self, label: &str) -> Result<Vec<Lease>, Error> {
        let method = "/containerd.services.leases.v1.Leases/List";
        let asked = Filters { filters: vec![with_label(label)] };
        let Listed { leases } = self.call(method, "list its leases", PATIENCE, asked).await?;
        Ok(leases)
    }

    /// Lets a lease be about this too. Whether that is there is not asked.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn add_to_lease(&self, id: &str, resource: Resource) -> Result<(), Error> {
        let method = "/containerd.services.leases.v1.Leases/AddResource";
        let asked = Add { id: id.into(), resource: Some(resource) };
        self.call::<_, Empty>(method, "add to a lease", PATIENCE, asked).await.map(drop)
    }

    /// What a lease is about; nothing where it is gone.
    ///
    /// # Errors
    /// When containerd does not list it in time.
    pub async fn leased(&self, id: &str) -> Result<Vec<Resource>, Error> {
        let method = "/containerd.services.leases.v1.Leases/ListResources";
        let asked = Id { id: id.into() };
        let found: Option<Resources> = if_there(self.call(method, "look at a lease", PATIENCE, asked).await)?;
        Ok(found.map(|found| found.resources).unwrap_or_default())
    }

    /// Deletes a lease; one that is gone is no error.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn delete_lease(&self, id: &str, collection: Collection) -> Result<(), Error> {
        let method = "/containerd.services.leases.v1.Leases/Delete";
        let asked = Delete { id: id.into(), sync: collection == Collection::Now };
        if_there(self.call::<_, Empty>(method, "delete a lease", LONG, asked).await).map(drop)
    }
}
