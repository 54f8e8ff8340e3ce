/** What LinuxKit writes into every image of its own, byte for byte. */

/** Time of everything that the build itself makes: 2017-04-18T16:30:00Z, in seconds. */
export const BUILD_TIME = 1_492_533_000;

/** `etc/hosts` of every image. */
export const HOSTS = `127.0.0.1       localhost
::1     localhost ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
`;

/** `etc/resolv.conf` of a container. */
export const RESOLV_CONF = `
# no resolv.conf configured
`;

/** Target of `etc/resolv.conf` in the root file system and in volumes. */
export const RESOLV_CONF_LINK = '/run/resolvconf/resolv.conf';

/** Target of `etc/mtab` where an image has none. */
export const MTAB_LINK = '/proc/mounts';

/** Where the machine looks for what to run. */
export const CONTAINERS = 'containers';
export const VOLUMES = 'containers/volumes';

/** Database of installed packages of Alpine images: those of all `init` images are joined. */
export const APK_DATABASE = 'lib/apk/db/installed';
