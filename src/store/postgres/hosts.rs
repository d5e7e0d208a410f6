//! Several hosts in one URL, each to be tried within a time of its own. tokio-postgres tries them too, but its time limit ends
//! once a host has taken the connection: one that then says nothing would keep it for ever, or use up the time of all.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts};

/// A configuration for each host of one for several, in the order in which they are to be tried.
pub(super) fn alone(config: &Config) -> Vec<Config> {
    let mut hosts: Vec<Config> = (0..config.get_hosts().len())
        .map(|number| {
            let mut host = Config::new();
            match config.get_hosts().get(number) {
                Some(Host::Tcp(name)) => host.host(name),
                #[cfg(unix)]
                Some(Host::Unix(path)) => host.host_path(path),
                None => &mut host,
            };
            if let Some(address) = config.get_hostaddrs().get(number) {
                host.hostaddr(*address);
            }
            // One port may stand for all.
            if let Some(port) = config.get_ports().get(number).or_else(|| config.get_ports().first()) {
                host.port(*port);
            }
            for (text, set) in [
                (config.get_user(), Config::user as fn(&mut Config, String) -> &mut Config),
                (config.get_dbname(), Config::dbname),
                (config.get_options(), Config::options),
                (config.get_application_name(), Config::application_name),
            ] {
                if let Some(text) = text {
                    set(&mut host, text.to_owned());
                }
            }
            if let Some(password) = config.get_password() {
                host.password(password);
            }
            if let Some(limit) = config.get_connect_timeout() {
                host.connect_timeout(*limit);
            }
            if let Some(limit) = config.get_tcp_user_timeout() {
                host.tcp_user_timeout(*limit);
            }
            if let Some(interval) = config.get_keepalives_interval() {
                host.keepalives_interval(interval);
            }
            if let Some(retries) = config.get_keepalives_retries() {
                host.keepalives_retries(retries);
            }
            host.keepalives(config.get_keepalives())
                .keepalives_idle(config.get_keepalives_idle())
                .ssl_mode(config.get_ssl_mode())
                .ssl_negotiation(config.get_ssl_negotiation())
                .channel_binding(config.get_channel_binding())
                .target_session_attrs(config.get_target_session_attrs())
                // Of the addresses that one name has.
                .load_balance_hosts(config.get_load_balance_hosts());
            host
        })
        .collect();
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        fastrand::shuffle(&mut hosts);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_a_configuration_of_its_own() {
        let url = "postgres://u:p%40ss@a:1,b:2/app?options=-c%20geqo%3Doff&target_session_attrs=read-write";
        let config: Config = url.parse().unwrap();
        let hosts = alone(&config);
        assert_eq!(hosts.len(), 2);
        for (number, host) in hosts.iter().enumerate() {
            assert_eq!(host.get_hosts(), &config.get_hosts()[number..=number]);
            assert_eq!(host.get_ports(), [[1], [2]][number]);
            // But for that it is the same, whatever tokio-postgres may come to know.
            let rest = |config: &Config| {
                let text = format!("{config:?}");
                text.replace("Tcp(\"a\"), Tcp(\"b\")", "").replace("[1, 2]", "[]")
            };
            let one = rest(host).replace(&format!("Tcp(\"{}\")", ["a", "b"][number]), "");
            assert_eq!(one.replace(&format!("[{}]", number + 1), "[]"), rest(&config));
        }
    }
}
