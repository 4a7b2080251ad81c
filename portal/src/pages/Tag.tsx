import { useQuery } from '@tanstack/react-query';
import { Navigate, getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { imagesQuery } from '../api/queries';
import { crumbsTo, repositoryHref } from '../components/crumbs';
import { Failure, Loading } from '../components/states';
import { repositoryFromPath } from '../format/names';
import { ObjectNotFound } from './NotFound';

// The filter matches parts of tags; this many images hold the exact one.
const MATCHES_MAX = 200;

const route = getRouteApi('/shell/registries/$reg/$repo/tags/$tag');

/** Goes to the image that the tag points at now. */
export default function Tag() {
  const { t } = useTranslation();
  const { reg, repo, tag } = route.useParams();
  const repository = repositoryFromPath(repo);
  const { data, error, refetch } = useQuery(imagesQuery(reg, repository, { q: tag }, 0, MATCHES_MAX));
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  const image = data.items.find(({ tags }) => tags.includes(tag));
  if (!image) {
    return (
      <ObjectNotFound
        title={`${repository}:${tag}`}
        crumbs={crumbsTo(t('rooms.registries'), reg, repository)}
        parent={{ text: repository, href: repositoryHref(reg, repository) }}
      />
    );
  }
  return <Navigate to="/registries/$reg/$repo/$digest" params={{ reg, repo, digest: image.digest }} replace />;
}
